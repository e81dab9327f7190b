"""Figure 6 of Keskar et al. 2017: sharpness against cross-entropy along a small-batch and a large-batch training.

Metric 2.1 at the iterates of chosen epochs of both. The paper finds the two alike at a high loss; as it falls, the
sharpness of the large-batch iterates rises and that of the small-batch ones comes down. It also shows how far sharpness
depends on when a training is stopped: Adam at a constant learning rate does not come to rest.
"""

from collections.abc import Sequence
from dataclasses import replace

from sharpmin.paper.budget import Extent
from sharpmin.paper.figures import AlongRow, SharpnessAlong
from sharpmin.paper.finished import cut_off, measured, training
from sharpmin.paper.jobs import Single
from sharpmin.paper.metric import metric_2_1
from sharpmin.paper.provenance import Provenance
from sharpmin.sweep.plan import Planned
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import TrainConfig


def trials(
    network: str,
    extent: Extent,
    *,
    small_batch: int,
    large_batch: int,
    epochs: Sequence[int],
    config: TrainConfig | None = None,
    epsilon: float = 1e-3,
    data: str | None = None,
) -> list[Trial]:
    """Both trainings from each seed, measured after each of the epochs.

    Args:
        network: of the paper.
        extent: images, epochs and seeds.
        small_batch: examples per step of one.
        large_batch: examples per step of the other.
        epochs: after which it is measured; 0 is x0.
        config: how either is trained, but for batch size, epochs and seed.
        epsilon: of Metric 2.1.
        data: a data set's name; the network's own by default.

    Source: Keskar et al. 2017, section 4.2 and Figure 6.

    """
    made = replace(config or TrainConfig(), epochs=extent.epochs)
    return [
        Trial(
            Single(
                network, seed, replace(made, batch_size=size, seed=seed), extent.train_size, test_size=extent.test_size
            ),
            data=data,
            measures=(metric_2_1(epsilon=epsilon),),
            iterates=tuple(epochs),
        )
        for seed in extent.seeds
        for size in (small_batch, large_batch)
    ]


def gather(planned: Sequence[Planned], provenance: Provenance) -> SharpnessAlong:
    """The numbers of the finished runs of `trials`."""
    smallest = min(training(run).config.batch_size for run in planned)
    rows = []
    for run in planned:
        job, (measure,) = training(run), run.trial.measures
        size = job.config.batch_size
        for epoch in run.trial.iterates:
            found = measured(run, measure, epoch)
            numbers = (found["loss"], found["value"], found["first_order"], cut_off(found))
            rows.append(AlongRow("SB" if size == smallest else "LB", size, job.seed, epoch, *numbers))
    return SharpnessAlong(provenance, tuple(rows))
