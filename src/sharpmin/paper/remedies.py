"""Appendix E of Keskar et al. 2017, and what came after: do remedies lead large batches to flat minimizers?

From each seed's starting point the small-batch training, the large-batch one, and the large-batch one with each remedy;
then accuracy and Metric 2.1 at every solution. The paper (sections 2.2.2 and 4) says of its remedies together that they
reduce the generalization gap and still lead to relatively sharp minimizers. Augmented large batches are compared with
augmented small ones, so these are trained as well.

Numbers that the full recipe has in absolute terms follow a budget: ghosts and the first batch of a growing one are as
large as the small batch, which is what a warmed-up learning rate is scaled from; a quarter of the epochs is warm-up, or
a stage of growth (with the recipe's own 20 epochs: five).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sharpmin.errors import UsageError
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective
from sharpmin.paper.budget import Extent
from sharpmin.paper.finished import history, measured, training
from sharpmin.paper.jobs import Single
from sharpmin.paper.metric import metric_2_1
from sharpmin.paper.provenance import Provenance
from sharpmin.paper.recipes import large_batch, small_batch
from sharpmin.paper.remedy_table import RemedyRow, RemedyTable
from sharpmin.remedies import SAM, Augmentation, Conservative, GhostBatchNorm, GrowingBatch, Robust, WarmUp
from sharpmin.sweep.plan import Planned
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import TrainConfig
from sharpmin.zoo import default_interface

SMALL, LARGE = "small batch", "large batch"
NAMES = ("augmentation", "conservative", "robust", "sam", "ghost-batch-norm", "warm-up", "growing-batch")


def remedies(extent: Extent) -> dict[str, dict[str, Any]]:
    """What each remedy changes in the configuration of the large-batch training, by its name on the command line."""
    small, quarter = small_batch(extent.images), max(1, extent.epochs // 4)
    return {
        "augmentation": {"augmentation": Augmentation()},
        "conservative": {"conservative": Conservative()},
        "robust": {"robust": Robust()},
        "sam": {"sam": SAM()},
        "ghost-batch-norm": {"ghost_batch_norm": GhostBatchNorm(size=small)},
        "warm-up": {"warm_up": WarmUp(epochs=quarter, reference=small)},
        "growing-batch": {"growing_batch": GrowingBatch(start=small, every=quarter)},
    }


def configurations(
    network: str, extent: Extent, *, chosen: Sequence[str] | None = None, config: TrainConfig | None = None
) -> dict[str, TrainConfig]:
    """Every training of a seed, by what the table calls it.

    Args:
        network: of the paper.
        extent: images and epochs.
        chosen: remedies; all by default, but for augmentation where the network learns no images.
        config: how all are trained, but for batch size, epochs and remedy.

    Raises:
        UsageError: there is no such remedy, or the images are too few.

    Example:
        >>> from sharpmin.paper.budget import Budget
        >>> extent = Budget().extent(images=50_000, epochs=20, trials=5, test=10_000)
        >>> made = configurations("C1", extent, chosen=["sam", "growing-batch"])
        >>> list(made)
        ['small batch', 'large batch', 'large batch, sam', 'large batch, growing-batch']
        >>> [made["large batch, growing-batch"].batch_of(epoch) for epoch in (1, 6, 11, 20)]
        [256, 1280, 5000, 5000]

    """
    known = remedies(extent)
    if chosen is None:
        chosen = [name for name in NAMES if name != "augmentation" or len(default_interface(network).shape) == 3]
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(f"there is no remedy {unknown[0]!r}: choose among {', '.join(NAMES)}")
    sizes = small_batch(extent.images), large_batch(extent.images)
    if sizes[0] >= sizes[1]:
        raise UsageError(f"{extent.images} images have no small and large batch: give --budget images=30 or more")
    small, large = (replace(config or TrainConfig(), epochs=extent.epochs, batch_size=size) for size in sizes)
    made = {SMALL: small}
    if "augmentation" in chosen:
        made[f"{SMALL}, augmentation"] = replace(small, **known["augmentation"])
    return made | {LARGE: large} | {f"{LARGE}, {name}": replace(large, **known[name]) for name in chosen}


def trials(
    network: str,
    extent: Extent,
    configs: Mapping[str, TrainConfig],
    *,
    epsilon: float = 1e-3,
    data: str | None = None,
) -> list[Trial]:
    """Every training from every seed, measured at its solution.

    Args:
        network: of the paper.
        extent: images and seeds.
        configs: the trainings of a seed, see `configurations`.
        epsilon: of Metric 2.1.
        data: a data set's name; the network's own by default.

    Source: Keskar et al. 2017, appendix E.

    """
    return [
        Trial(
            Single(network, seed, replace(made, seed=seed), extent.train_size, test_size=extent.test_size),
            data=data,
            measures=(metric_2_1(epsilon=epsilon), accuracy),
        )
        for seed in extent.seeds
        for made in configs.values()
    ]


def accuracy(objective: Objective) -> Measurement:
    """Loss and accuracy of a solution on all of the training set, without dropout and without a remedy."""
    return objective.measure(objective.theta)


def gather(planned: Sequence[Planned], names: Sequence[str], provenance: Provenance) -> RemedyTable:
    """The numbers of the finished runs of `trials`, whose trainings of a seed have these names."""
    return RemedyTable(provenance, tuple(row_of(run, names[i % len(names)]) for i, run in enumerate(planned)))


def row_of(run: Planned, name: str) -> RemedyRow:
    """The numbers of one run."""
    epochs = history(run)
    sharp, fit = (measured(run, measure) for measure in run.trial.measures)
    return RemedyRow(
        training=name,
        seed=training(run).seed,
        config=training(run).config.settings(),
        loss=fit["loss"],
        train_accuracy=fit["accuracy"],
        test_accuracy=epochs[-1].test_accuracy,
        sharpness=sharp["value"],
        seconds=sum(epoch.seconds for epoch in epochs),
    )
