"""The iterates of chosen epochs of a training, kept beside its solution: only where asked, for they take room.

    x0.safetensors                      the starting point, epoch 0
    solution.epoch-3.safetensors        the weights after epoch 3
    solution.safetensors                those after the last one

Keskar et al. 2017 start large-batch trainings from such iterates (Figure 5) and measure at them (Figure 6).
Which are kept is no part of a run's name: no bit of the training depends on it. So a training may have passed an epoch
by before anybody asked for it; then it is carried out once more up to there, beside the solution, which stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from sharpmin.data import Split
from sharpmin.history import State
from sharpmin.paper.minimizers import solve
from sharpmin.runs import CHECKPOINT, Run
from sharpmin.train_config import TrainConfig

START, SOLUTION, REPLAY = "x0", "solution", "replay"


def point_of(epoch: int, config: TrainConfig) -> str:
    """What the iterate after an epoch is called where it is measured.

    Example:
        >>> [point_of(epoch, TrainConfig(epochs=20)) for epoch in (0, 7, 20)]
        ['epoch 0', 'epoch 7', 'solution']

    """
    return SOLUTION if epoch == config.epochs else f"epoch {epoch}"


def file_of(epoch: int, config: TrainConfig) -> str:
    """The name of its file in the run folder."""
    return {0: START, config.epochs: SOLUTION}.get(epoch, f"{SOLUTION}.epoch-{epoch}")


def solve_keeping(
    run: Run, model: nn.Module, split: Split, config: TrainConfig, epochs: Sequence[int], *, after_step: Any, **how: Any
) -> State:
    """The solution, as `solve` gives it, and the iterates after these epochs in the run folder.

    Args:
        run: the run folder.
        model: at its starting point.
        split: the data.
        config: of the training, with a fixed number of epochs where iterates are asked for.
        epochs: whose iterates are kept.
        after_step: of the training; not called where it is carried out once more.
        how: device, progress and group.

    """
    files = {epoch: file_of(epoch, config) for epoch in epochs if 0 < epoch < config.epochs}
    absent = sorted(epoch for epoch, file in files.items() if not (run.folder / f"{file}.safetensors").exists())

    def keep(state: State) -> None:
        if state.epochs in absent:
            run.save(files[state.epochs], state.weights)

    passed = (run.folder / f"{SOLUTION}.safetensors").exists()
    if absent:
        rewind(run, REPLAY if passed else SOLUTION, before=absent[0])
    if absent and passed:
        solve(run, REPLAY, model, split, replace(config, epochs=absent[-1]), after_epoch=keep, **how)
    run.drop(REPLAY)
    return solve(run, SOLUTION, model, split, config, after_epoch=keep, after_step=after_step, **how)


def rewind(run: Run, name: str, *, before: int) -> None:
    """Forget the checkpoint of an unfinished training that has passed this epoch by."""
    state = run.load_state(name)
    if state is not None and state.epochs >= before:
        run.drop(name + CHECKPOINT)
