"""What is trained: everything that determines the numbers, beside the data themselves."""

from dataclasses import dataclass

from sharpmin.errors import UsageError
from sharpmin.landscape.paths import Kind, check_kind, default_alphas
from sharpmin.objective import DEFAULT_BATCH
from sharpmin.train_config import TrainConfig

SMALL, LARGE = "small_batch", "large_batch"
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
