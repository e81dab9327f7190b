"""What a `Monitor` tells the trackers of experiments: one-liners for its `log`.

    Monitor(objective, log=tensorboard("runs/today"))       or tensorboard(your_writer)
    Monitor(objective, log=mlflow())                        into the active run; one is begun where there is none
    Monitor(objective, log=wandb())                         after wandb.init(...)
    Monitor(objective, log=trackio())                       after trackio.init(...)

Each is imported when it is asked for, and none is a requirement of sharpmin. The names get "sharpmin/" in front. For
anything else, `log` is any function of the step and {name: value}.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from os import PathLike
from typing import Any

from sharpmin.errors import UsageError

Log = Callable[[int, Mapping[str, float]], None]


def tensorboard(where: Any) -> Log:
    """Write scalars with a `SummaryWriter`: your own, or one for this folder."""
    writer = where
    if isinstance(where, str | PathLike):
        writer = needed("torch.utils.tensorboard", package="tensorboard").SummaryWriter(where)

    def log(step: int, values: Mapping[str, float]) -> None:
        for name, value in named(values).items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return log


def mlflow() -> Log:
    """Log metrics to MLflow's active run."""
    module = needed("mlflow")
    return lambda step, values: module.log_metrics(named(values), step=step)


def wandb() -> Log:
    """Log to the run that `wandb.init` began. W&B takes no step below its last: log your own with `step=`, too."""
    module = needed("wandb")
    if module.run is None:
        raise UsageError("W&B has no run yet: call wandb.init(...) before wandb()")
    return lambda step, values: module.log(named(values), step=step)


def trackio() -> Log:
    """Log to the run that `trackio.init` began."""
    module = needed("trackio")
    return lambda step, values: module.log(named(values), step=step)


def named(values: Mapping[str, float]) -> dict[str, float]:
    """The values under names that say where they come from."""
    return {f"sharpmin/{name}": value for name, value in values.items()}


def needed(module: str, *, package: str | None = None) -> Any:
    """Import somebody else's package.

    Raises:
        UsageError: it is not installed.

    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{package or module} cannot be imported ({error}): pip install {package or module}"
        ) from error
