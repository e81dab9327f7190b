"""The callback in the real Hugging Face Trainer, and folders of `save_pretrained`."""

import pytest
import torch
from torch import nn

from cases import same_bits
from sharpmin.checkpoints import load_into, read_checkpoint
from sharpmin.monitor import Monitor, read_rows
from sharpmin.objective import Objective

pytestmark = pytest.mark.filterwarnings("ignore")  # whatever its libraries say of each other

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

CONFIG = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
CONFIG |= {"intermediate_size": 16, "max_position_embeddings": 8, "num_labels": 3}


def network():
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(transformers.BertConfig(**CONFIG))


def rows_of_data(count=24):
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(20, (count, 6), generator=generator)
    return [{"input_ids": row, "labels": row.sum() % 3} for row in tokens]


def batches():
    rows = rows_of_data()
    return [{key: torch.stack([row[key] for row in part]) for key in rows[0]} for part in (rows[:12], rows[12:])]


def loss(model: nn.Module, batch: dict) -> tuple[torch.Tensor, int]:
    return model(**batch).loss * len(batch["labels"]), len(batch["labels"])


def fitted(model, folder, *callbacks, steps=8):
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"),
        max_steps=steps,
        per_device_train_batch_size=4,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=1,
    )
    transformers.Trainer(model, arguments, train_dataset=rows_of_data(), callbacks=list(callbacks)).train()
    return model


def test_rows_beside_a_training_that_keeps_its_bits(tmp_path):
    from sharpmin.monitor.huggingface import MonitorCallback

    names = ("loss", "distance", "lambda-max")
    callback = MonitorCallback(
        lambda model: Monitor(
            Objective(model, batches(), loss=loss), file=tmp_path / "rows.jsonl", every=4, share=1, measures=names
        )
    )
    plain, watched = fitted(network(), tmp_path), fitted(network(), tmp_path, callback)
    assert same_bits(plain.state_dict(), watched.state_dict())
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [row["step"] for row in rows] == [0, 4, 8]
    assert not any(row["errors"] for row in rows)
    final = Objective(watched, batches(), loss=loss)
    assert rows[-1]["loss"] == final.value(final.theta)


@pytest.mark.parametrize("parts", ["5GB", "8KB"], ids=["whole", "in parts"])
def test_its_folder_is_read_as_the_guide_says(tmp_path, parts):
    model = fitted(network(), tmp_path, steps=1)
    model.save_pretrained(tmp_path / "saved", max_shard_size=parts)
    files = list((tmp_path / "saved").glob("*.safetensors"))
    assert (len(files) == 1) == (parts == "5GB")
    fresh = network()
    load_into(fresh, read_checkpoint(tmp_path / "saved"))
    assert same_bits(fresh.state_dict(), model.state_dict())
