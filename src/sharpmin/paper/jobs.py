"""What is trained: a pair of minimizers with the path between, or one minimizer.

Each says everything that determines its numbers, beside the data themselves, and what of it names the run folder.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch

from sharpmin.errors import UsageError
from sharpmin.landscape.paths import Kind, check_kind, default_alphas
from sharpmin.objective import DEFAULT_BATCH
from sharpmin.paper.grids import Grid
from sharpmin.paper.iterates import SOLUTION, file_of, point_of
from sharpmin.train_config import TrainConfig

SMALL, LARGE = "small_batch", "large_batch"
REGIMES = {"SB": SMALL, "LB": LARGE}
FORMAT = 1


@dataclass(frozen=True)
class Job:
    """Everything that determines the numbers of a parametric plot, beside the data themselves.

    Attributes:
        network: a network of the paper.
        seed: of x0, and of the data subsets where there are any.
        small_batch: how the small-batch solution is trained.
        large_batch: how the large-batch solution is trained.
        train_size: size of the class-balanced training subset, or None for all.
        path: "line" (Figure 3) or "arc" (Figure 7).
        points: alphas from -1 to 2.
        evaluation_batch: examples BatchNorm normalises together in evaluation.
        test_size: size of the class-balanced test subset, or None for all.

    """

    network: str
    seed: int
    small_batch: TrainConfig
    large_batch: TrainConfig
    train_size: int | None = None
    path: Kind = "line"
    points: int = 25
    evaluation_batch: int = DEFAULT_BATCH
    test_size: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail only after hours of training."""
        check_kind(self.path)
        default_alphas(self.points)
        if self.evaluation_batch < 1:
            raise UsageError(f"evaluation batch {self.evaluation_batch}: it must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed {self.seed}: choose one from 0 to 2^63 - 1")

    @property
    def configs(self) -> tuple[TrainConfig, ...]:
        """How each of its minimizers is trained."""
        return self.small_batch, self.large_batch

    def settings(self, data: dict[str, Any], device: torch.device) -> dict[str, Any]:
        """What names the run folder: all that training depends on, and nothing that only drawing does."""
        drawing = ("path", "points", "evaluation_batch")
        training = {key: value for key, value in asdict(self).items() if key not in drawing}
        if self.test_size is None:
            del training["test_size"]  # folders made before it could be named stay theirs
        return named(training | {SMALL: self.small_batch.settings(), LARGE: self.large_batch.settings()}, data, device)

    @property
    def grid(self) -> Grid:
        """The points of the path, which a file of the run folder is named after."""
        return Grid(self.path, self.points, self.evaluation_batch)

    def files(self, iterates: Sequence[int] = ()) -> dict[str, str]:
        """The names of its minimizers, and of their files."""
        return REGIMES


def check_points(points: int) -> None:
    """Raise a UsageError for a grid from -1 to 2 that passes by the minimizers: nothing would be known of them.

    Example:
        >>> check_points(9)
        Traceback (most recent call last):
            ...
        sharpmin.errors.UsageError: 9 points from -1 to 2 leave out the minimizers at 0 and 1: choose 7 or 10

    """
    default_alphas(points)
    if beyond := (points - 1) % 3:
        lower = points - beyond
        near = f"{lower} or {lower + 3}" if lower > 1 else f"{lower + 3}"
        raise UsageError(f"{points} points from -1 to 2 leave out the minimizers at 0 and 1: choose {near}")


def check_batches(job: Job, *, give: str) -> None:
    """Raise a UsageError where the large batch is the smaller one, or as small: a verdict would be turned round.

    Args:
        job: the pair.
        give: what to choose otherwise, as the end of a sentence.

    """
    small, large = job.small_batch.batch_size, job.large_batch.batch_size
    if large <= small:
        raise UsageError(f"the large batch of {large} is not larger than the small batch of {small}: give {give}")


@dataclass(frozen=True)
class WarmStart:
    """An iterate of another training of the same network, from the same x0 on the same data.

    Attributes:
        config: how that one is trained.
        epoch: after which; the optimizer's moments are not taken over.

    """

    config: TrainConfig
    epoch: int

    def __post_init__(self) -> None:
        """Refuse an iterate that there cannot be."""
        if not 1 <= self.epoch <= self.config.epochs:
            raise UsageError(f"a warm start after epoch {self.epoch} of {self.config.epochs}: choose one from 1 on")
        if self.config.until_converged:
            raise UsageError("a warm start needs a training with a fixed number of epochs, not until it has converged")

    def settings(self) -> dict[str, Any]:
        """What names the run folder."""
        return {"config": self.config.settings(), "epoch": self.epoch}


@dataclass(frozen=True)
class Single:
    """Everything that determines the bits of a training, beside the data themselves.

    Attributes:
        network: a network of the paper.
        seed: of x0, and of the data subsets where there are any.
        config: how it is trained.
        train_size: size of the class-balanced training subset, or None for all.
        warm_start: where it begins, if not at the network's own x0.
        test_size: size of the class-balanced test subset, or None for all.

    """

    network: str
    seed: int
    config: TrainConfig
    train_size: int | None = None
    warm_start: WarmStart | None = None
    test_size: int | None = None
    evaluation_batch: ClassVar[int] = DEFAULT_BATCH

    @property
    def configs(self) -> tuple[TrainConfig, ...]:
        """How its minimizer is trained."""
        return (self.config,)

    def settings(self, data: dict[str, Any], device: torch.device) -> dict[str, Any]:
        """What names the run folder: all that the training depends on."""
        fewer = {} if self.test_size is None else {"test_size": self.test_size}
        begun = {} if self.warm_start is None else {"warm_start": self.warm_start.settings()}
        training = {
            "network": self.network,
            "seed": self.seed,
            "config": self.config.settings(),
            "train_size": self.train_size,
            **fewer,
            **begun,
        }
        return named(training, data, device)

    def files(self, iterates: Sequence[int] = ()) -> dict[str, str]:
        """The names of the iterates that are kept and of the minimizer, and of their files."""
        kept = {point_of(epoch, self.config): file_of(epoch, self.config) for epoch in iterates}
        return kept | {SOLUTION: SOLUTION}


def named(training: dict[str, Any], data: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What names a run folder, of the settings of a training: where its data come from does not."""
    same_bytes = {key: value for key, value in data.items() if key != "source"}
    return {"format": FORMAT, **training, "data": same_bytes, "device": device.type}
