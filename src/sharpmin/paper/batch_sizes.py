"""Figure 4 of Keskar et al. 2017: test accuracy and sharpness against the batch size.

Every batch size is trained from the same starting points for the same number of epochs, from small batches to the whole
training set; Metric 2.1 is taken at each solution by each epsilon. The paper finds a threshold after which test
accuracy drops, and around which sharpness, which has risen up to there, rises much less.
"""

from collections.abc import Sequence
from dataclasses import replace

from sharpmin.paper.budget import Extent
from sharpmin.paper.figures import BatchSizeRow, BatchSizes
from sharpmin.paper.finished import cut_off, history, measured, training
from sharpmin.paper.jobs import Single
from sharpmin.paper.metric import EPSILONS, metric_2_1
from sharpmin.paper.provenance import Provenance
from sharpmin.sweep.plan import Planned
from sharpmin.sweep.trial import Measure, Trial
from sharpmin.train_config import TrainConfig

EPOCHS = 100
SMALLEST = 64


def doubling(examples: int) -> list[int]:
    """Batch sizes from 64 on, each twice the one before, and the whole training set.

    Example:
        >>> doubling(60_000)[:3], doubling(60_000)[-3:]
        ([64, 128, 256], [16384, 32768, 60000])
        >>> doubling(100)  # of less than 640 examples from a tenth of them on
        [10, 20, 40, 80, 100]

    """
    sizes = [min(SMALLEST, max(2, examples // 10))]
    while 2 * sizes[-1] < examples:
        sizes.append(2 * sizes[-1])
    return [*sizes, examples]


def trials(
    network: str,
    extent: Extent,
    *,
    sizes: Sequence[int] | None = None,
    config: TrainConfig | None = None,
    epsilons: Sequence[float] = EPSILONS,
    data: str | None = None,
) -> list[Trial]:
    """A training of each batch size from each seed, measured at its solution.

    Args:
        network: of the paper.
        extent: images, epochs and seeds.
        sizes: batch sizes; `doubling` ones by default.
        config: how each is trained, but for batch size, epochs and seed.
        epsilons: of Metric 2.1, each taken at every solution.
        data: a data set's name; the network's own by default.

    Example:
        >>> from sharpmin.paper.budget import Budget
        >>> extent = Budget(trials=2).extent(images=60_000, epochs=100, trials=5, test=10_000)
        >>> runs = trials("F1", extent, sizes=[256, 6000])
        >>> [(run.job.seed, run.job.config.batch_size) for run in runs]
        [(0, 256), (0, 6000), (1, 256), (1, 6000)]

    Source: Keskar et al. 2017, Figure 4.

    """
    made = replace(config or TrainConfig(), epochs=extent.epochs)
    return [
        Trial(
            Single(
                network, seed, replace(made, batch_size=size, seed=seed), extent.train_size, test_size=extent.test_size
            ),
            data=data,
            measures=tuple(metric_2_1(epsilon=epsilon) for epsilon in epsilons),
        )
        for seed in extent.seeds
        for size in sizes or doubling(extent.images)
    ]


def gather(planned: Sequence[Planned], provenance: Provenance) -> BatchSizes:
    """The numbers of the finished runs of `trials`."""
    return BatchSizes(provenance, tuple(row_of(run, measure) for run in planned for measure in run.trial.measures))


def row_of(run: Planned, measure: Measure) -> BatchSizeRow:
    """The numbers of one by one of its measures."""
    job, epochs, found = training(run), history(run), measured(run, measure)
    return BatchSizeRow(
        batch_size=job.config.batch_size,
        seed=job.seed,
        epochs=len(epochs),
        loss=found["loss"],
        test_accuracy=epochs[-1].test_accuracy,
        epsilon=found["epsilon"],
        sharpness=found["value"],
        still_climbing=cut_off(found),
    )
