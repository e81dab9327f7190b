"""One training of a network of the paper in a run folder of its own, watched by a monitor where asked.

    NETWORK-HASH/
      settings.json, environment.json     as in the folder of a pair (`sharpmin.runs`)
      x0.safetensors                      the starting point: the network's own, or another training's iterate
      solution.safetensors                the minimizer; solution.checkpoint and solution.history as there
      solution.epoch-3.safetensors        an iterate, where asked for (`sharpmin.paper.iterates`)
      curvature.jsonl                     the monitor's rows

What the monitor was asked and which iterates are kept is not in the hash: neither changes the bits of the training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sharpmin.data import Split, subset
from sharpmin.data.record import described
from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import UsageError
from sharpmin.history import State
from sharpmin.memory import check_fits, memory_on
from sharpmin.monitor import Monitor
from sharpmin.monitor.monitor import check as check_rhythm
from sharpmin.monitor.questions import chosen
from sharpmin.objective import Objective
from sharpmin.paper.iterates import SOLUTION, START, file_of, solve_keeping
from sharpmin.paper.jobs import Single
from sharpmin.progress import Progress, silent
from sharpmin.runs import Run, open_run
from sharpmin.train_config import check
from sharpmin.zoo import build

CURVATURE = "curvature.jsonl"


@dataclass(frozen=True)
class Watch:
    """What the monitor is asked.

    Attributes:
        every: steps from one row to the next.
        share: of the training's time.
        examples: of the training set, class-balanced, that f is the mean over.
        measures: names of `sharpmin.monitor.MEASURES`.

    """

    every: int
    share: float
    examples: int
    measures: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what would be found out only when the data are there."""
        check_rhythm(self.every, self.share)
        chosen(self.measures, {})
        if self.examples < 1:
            raise UsageError(f"{self.examples} examples to measure on: give at least 1")


def compute(
    job: Single,
    split: Split,
    *,
    runs: Path,
    environment: dict[str, Any],
    watch: Watch | None = None,
    iterates: Sequence[int] = (),
    device: torch.device | str = "cpu",
    progress: Progress = silent,
    group: Group = ALONE,
) -> tuple[State, Run]:
    """Train what is not yet trained; `split` is already cut to the job's sizes.

    Args:
        job: the settings.
        split: the data.
        runs: the folder below which the run folder lies; a warm start's training lies there too, or is carried out.
        environment: recorded with the run.
        watch: what is measured meanwhile.
        iterates: epochs after which the weights are kept, of a fixed number of them.
        device: where to compute.
        progress: told how far it is.
        group: processes that share the work out.

    Returns:
        The final state, and the run folder it lies in.

    Raises:
        SharpminError: see `sharpmin.errors`; what was finished is kept.

    """
    check(job.config, examples=len(split.train), shape=split.train.inputs.shape[1:])
    if watch and group.size > 1:
        raise UsageError(
            "a monitor decides by the clock, which is not the same for all processes: train in one process"
        )
    model = build(job.network, seed=job.seed, shape=split.train.inputs.shape[1:], classes=split.classes)
    run = open_run(runs, job.network, job.settings(described(split), torch.device(device)))
    run.note_environment(environment)
    if not (run.folder / f"{START}.safetensors").exists():
        how = {"runs": runs, "environment": environment, "device": device, "progress": progress}
        run.save(START, starting_weights(job, model, split, **how))
    if job.warm_start is not None:
        model.load_state_dict(run.load(START)[0])
    if not (run.folder / f"{SOLUTION}.safetensors").exists():
        check_fits(
            model,
            split.train.inputs[0],
            job.config.batch_size,
            device=device,
            available=memory_on(device),
            processes=group.size,
            flag="--batch-size",
        )
    after_step = None if watch is None else watching(model, split, job, watch, run=run, device=device)
    state = solve_keeping(
        run, model, split, job.config, iterates, after_step=after_step, device=device, progress=progress, group=group
    )
    return state, run


def starting_weights(job: Single, model: nn.Module, split: Split, **how: Any) -> dict[str, Tensor]:
    """The model's own, or those of the warm start, whose training is carried out where it is not there."""
    if job.warm_start is None:
        return {name: p.detach() for name, p in model.named_parameters()}
    config, epoch = job.warm_start.config, job.warm_start.epoch
    _, run = compute(replace(job, config=config, warm_start=None), split, iterates=(epoch,), **how)
    return run.load(file_of(epoch, config))[0]


def watching(
    model: nn.Module, split: Split, job: Single, watch: Watch, *, run: Run, device: torch.device | str
) -> Callable[[int], object]:
    """What to call after each step of the training of this model, which is at x0 yet; it measures x0 at once."""
    count = min(watch.examples, len(split.train))
    some = subset(split.train, count, seed=job.seed, classes=split.classes)
    f = Objective(model, some, batch_norm="batch", device=device)
    monitor = Monitor(
        f,
        file=run.folder / CURVATURE,
        every=watch.every,
        share=watch.share,
        measures=watch.measures,
        start=f.theta,
        noise_batch=min(job.config.batch_size, max(1, count // 10)),
        seed=job.seed,
    )
    known = -1 if monitor.last_step is None else monitor.last_step  # of a training that was killed: it is this one
    if known < 0 and not (run.folder / f"{SOLUTION}.safetensors").exists():
        monitor(0)
    return lambda step: monitor(step) if step > known else None
