"""What trackers of experiments are told, by reading it back from the real ones where they are installed."""

import sys

import pytest

from sharpmin.errors import UsageError
from sharpmin.monitor import logs

VALUES = {"loss": 0.5, "lambda-max": 12.25, "metric-2.1": 3.5}
NAMED = {f"sharpmin/{name}": value for name, value in VALUES.items()}


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = logs.tensorboard(tmp_path)
    log(0, {"loss": 1.0})
    log(7, VALUES)
    written = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(written.Tags()["scalars"]) == sorted(NAMED)
    assert [(event.step, event.value) for event in written.Scalars("sharpmin/loss")] == [(0, 1.0), (7, 0.5)]
    assert [(event.step, event.value) for event in written.Scalars("sharpmin/lambda-max")] == [(7, 12.25)]


def test_a_writer_of_ones_own():
    told = []

    class Writer:
        def add_scalar(self, name, value, step):
            told.append((name, value, step))

        def flush(self):
            told.append("flushed")

    logs.tensorboard(Writer())(3, VALUES)
    assert told == [*((name, value, 3) for name, value in NAMED.items()), "flushed"]


@pytest.mark.filterwarnings("ignore")
def test_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("test", artifact_location=str(tmp_path))
    mlflow.set_experiment("test")
    with mlflow.start_run() as run:
        log = logs.mlflow()
        log(0, {"loss": 1.0})
        log(7, VALUES)
    client = mlflow.tracking.MlflowClient()
    assert client.get_run(run.info.run_id).data.metrics == NAMED
    history = client.get_metric_history(run.info.run_id, "sharpmin/loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 1.0), (7, 0.5)]


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with pytest.raises(UsageError, match=r"call wandb\.init"):
        logs.wandb()
    with wandb.init(mode="offline", dir=tmp_path, project="test"):
        logs.wandb()(7, VALUES)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    kept = file.read_bytes()  # its records are messages with names and JSON values in them
    assert all(name.encode() in kept for name in NAMED)
    assert all(str(value).encode() in kept for value in VALUES.values())


@pytest.mark.filterwarnings("ignore")
def test_trackio(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    trackio = pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    trackio.init(project="test", name="run", embed=False, auto_log_cpu=False, auto_log_gpu=False)
    logs.trackio()(7, VALUES)
    trackio.finish()
    (row,) = SQLiteStorage.get_logs("test", "run")
    assert {name: row[name] for name in NAMED} == NAMED
    assert row["step"] == 7


@pytest.mark.parametrize(
    ("ask", "module", "package"),
    [
        (lambda: logs.tensorboard("there"), "torch.utils.tensorboard", "tensorboard"),
        (logs.mlflow, "mlflow", "mlflow"),
        (logs.wandb, "wandb", "wandb"),
        (logs.trackio, "trackio", "trackio"),
    ],
)
def test_one_that_is_not_installed(ask, module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"{package} cannot be imported .*: pip install {package}"):
        ask()
