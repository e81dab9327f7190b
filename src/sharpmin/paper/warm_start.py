"""Figure 5 of Keskar et al. 2017: large-batch training that is started from the iterates of small-batch training.

A small-batch training keeps its iterates; from each of them a large-batch training is started ("piggybacked") and goes
on for as many epochs as one from x0. The paper finds that after a few warm-start epochs it still lands in sharp
minimizers, after more it does not. The optimizer's moments start at zero in the large-batch phase.
"""

from collections.abc import Sequence
from dataclasses import replace

from sharpmin.paper.budget import Extent
from sharpmin.paper.figures import WarmStartRow, WarmStarts
from sharpmin.paper.finished import cut_off, history, measured, training
from sharpmin.paper.jobs import Single, WarmStart
from sharpmin.paper.metric import metric_2_1
from sharpmin.paper.provenance import Provenance
from sharpmin.sweep.plan import Planned
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import TrainConfig

EPOCHS = 100


def small_trials(
    network: str,
    extent: Extent,
    *,
    batch_size: int,
    every: int = 1,
    config: TrainConfig | None = None,
    data: str | None = None,
) -> list[Trial]:
    """The small-batch training of each seed, which keeps its iterate of every so many epochs.

    Args:
        network: of the paper.
        extent: images, epochs and seeds.
        batch_size: examples per step.
        every: epochs from one iterate to the next.
        config: how it is trained, but for batch size, epochs and seed.
        data: a data set's name; the network's own by default.

    """
    made = replace(config or TrainConfig(), epochs=extent.epochs, batch_size=batch_size)
    kept = tuple(epoch for epoch in range(0, extent.epochs + 1, every) if epoch)
    return [
        Trial(
            Single(network, seed, replace(made, seed=seed), extent.train_size, test_size=extent.test_size),
            data=data,
            iterates=kept,
        )
        for seed in extent.seeds
    ]


def large_trials(small: Sequence[Trial], *, batch_size: int, epsilon: float = 1e-3) -> list[Trial]:
    """A large-batch training from x0 and from each iterate of the small-batch trainings, measured at its solution.

    Args:
        small: the small-batch trainings; what is not said here is as in them.
        batch_size: examples per step.
        epsilon: of Metric 2.1.

    Example:
        >>> from sharpmin.paper.budget import Budget
        >>> extent = Budget(trials=1, epochs=2).extent(images=60_000, epochs=100, trials=5, test=10_000)
        >>> [t.job.warm_start and t.job.warm_start.epoch for t in large_trials(
        ...     small_trials("F1", extent, batch_size=256), batch_size=6000)]
        [None, 1, 2]

    Source: Keskar et al. 2017, section 4.1 and Figure 5.

    """
    made = []
    for trial in small:
        job = trial.job
        assert isinstance(job, Single)
        starts = [None, *(WarmStart(job.config, epoch) for epoch in trial.iterates)]
        config, measures = replace(job.config, batch_size=batch_size), (metric_2_1(epsilon=epsilon),)
        made += [Trial(replace(job, config=config, warm_start=s), data=trial.data, measures=measures) for s in starts]
    return made


def gather(small: Sequence[Planned], large: Sequence[Planned], provenance: Provenance) -> WarmStarts:
    """The numbers of the finished runs of `small_trials` and `large_trials`."""
    histories = {training(run).seed: history(run) for run in small}
    rows = []
    for run in large:
        (measure,) = run.trial.measures
        job, found = training(run), measured(run, measure)
        epoch = 0 if job.warm_start is None else job.warm_start.epoch
        before = histories[job.seed][epoch - 1].test_accuracy if epoch else None
        accuracy = history(run)[-1].test_accuracy
        sharpness = (found["loss"], found["value"], cut_off(found))
        rows.append(WarmStartRow(job.seed, epoch, before, accuracy, *sharpness))
    small_batch, large_batch = (training(runs[0]).config.batch_size for runs in (small, large))
    return WarmStarts(provenance, small_batch, large_batch, tuple(rows))
