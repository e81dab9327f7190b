"""The callback in the real Lightning Trainer, and its checkpoints."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from cases import examples, same_bits
from sharpmin.checkpoints import load_into, read_checkpoint
from sharpmin.monitor import Monitor, read_rows
from sharpmin.objective import Objective

pytestmark = pytest.mark.filterwarnings("ignore")  # whatever Lightning says of loggers and workers

lightning = pytest.importorskip("lightning.pytorch")

DATA = examples(24, 4, dtype=torch.float32)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3))


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.save_hyperparameters({"width": 6, "name": "small"})
        self.net = network()

    def training_step(self, batch, index):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


def fitted(module, folder, *callbacks, epochs=2, resumed=None):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    lightning.seed_everything(1, verbose=False)
    trainer.fit(module, DataLoader(TensorDataset(DATA.inputs, DATA.targets), 4, shuffle=True), ckpt_path=resumed)
    return trainer


def callback(folder, **settings):
    from sharpmin.monitor.lightning import MonitorCallback

    return MonitorCallback(
        lambda module: Monitor(Objective(module.net, DATA), file=folder / "rows.jsonl", every=4, share=1, **settings)
    )


def test_rows_beside_a_fit_that_keeps_its_bits(tmp_path):
    plain, watched = Module(), Module()
    fitted(plain, tmp_path)
    fitted(watched, tmp_path, callback(tmp_path))
    assert same_bits(plain.state_dict(), watched.state_dict())
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [row["step"] for row in rows] == [0, 4, 8, 12]
    assert not any(row["errors"] for row in rows)
    final = Objective(watched.net, DATA)
    assert rows[-1]["loss"] == final.value(final.theta)


def test_a_resumed_fit_goes_on_with_the_rows(tmp_path):
    trainer = fitted(Module(), tmp_path, callback(tmp_path), epochs=1)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    fitted(Module(), tmp_path, callback(tmp_path), epochs=2, resumed=tmp_path / "last.ckpt")
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [row["step"] for row in rows] == [0, 4, 8, 12]
    assert rows[0]["distance"] == 0
    assert rows[2]["distance"] > rows[1]["distance"] > 0


def test_what_the_monitor_logs_goes_to_lightnings_logger(tmp_path):
    told = []
    fitted(Module(), tmp_path, callback(tmp_path, log=lambda step, values: told.append(step)))
    assert told == [0, 4, 8, 12]


def test_its_checkpoint_is_read_as_the_guide_says(tmp_path):
    module = Module()
    fitted(module, tmp_path).save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = read_checkpoint(tmp_path / "last.ckpt")
    fresh = network()
    found = load_into(fresh, checkpoint)
    assert (found.key, found.prefix) == ("state_dict", "net")
    assert same_bits(fresh.state_dict(), module.net.state_dict())
