"""A minimizer in a run folder: trained there, gone on with where it was killed, and read where it is done.

It lies there as <name>.safetensors; until then its last checkpoint does (`sharpmin.runs`).
"""

from collections.abc import Callable
from pathlib import Path as File

import torch
from torch import nn

from sharpmin.data import Split
from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import RunError, UsageError
from sharpmin.history import State
from sharpmin.progress import Progress
from sharpmin.runs import Run
from sharpmin.train_config import TrainConfig
from sharpmin.training import train
from sharpmin.weights import layout


def solve(
    run: Run,
    name: str,
    model: nn.Module,
    split: Split,
    config: TrainConfig,
    *,
    device: torch.device | str,
    progress: Progress,
    after_step: Callable[[int], object] | None = None,
    after_epoch: Callable[[State], object] = lambda state: None,
    group: Group = ALONE,
) -> State:
    """One minimizer: read from the run folder, or trained on from its last checkpoint, or from the model as it is.

    `after_epoch` sees each state before it is the checkpoint.
    """

    def keep(state: State) -> None:
        after_epoch(state)
        run.save_state(name, state, finished=False)

    state = run.load_state(name)
    if state is not None:
        check_belongs(state, model, place=run.folder / name)
    if state is not None and (run.folder / f"{name}.safetensors").exists():
        return state
    state = train(
        model,
        split.train,
        config,
        test=split.test,
        state=state,
        device=device,
        after_epoch=keep,
        after_step=after_step,
        progress=progress,
        label=f"{name.replace('_', ' ')} {config.batch_size}",
        group=group,
    )
    run.save_state(name, state, finished=True)
    return state


def check_belongs(state: State, model: nn.Module, *, place: File) -> None:
    """Raise a RunError unless the state's weights are those of this network."""
    try:
        layout(model).flatten(state.weights)
    except UsageError as error:
        raise RunError(f"{place} belongs to another run ({error}): move the folder away") from error
