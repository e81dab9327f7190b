"""Every number of a parametric plot, kept as JSON and read back.

Source: Keskar et al. 2017, Figures 3 and 7.
"""

from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, Literal

from sharpmin.disk import read_json
from sharpmin.errors import RunError, UsageError
from sharpmin.history import Epoch
from sharpmin.landscape.paths import Path
from sharpmin.paper.jobs import LARGE, SMALL, Job
from sharpmin.train_config import TrainConfig


@dataclass(frozen=True)
class Point:
    """Loss and accuracy (a fraction; NaN where the loss is) on both sets at one alpha."""

    alpha: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True)
class ParametricPlot:
    """Every number of the figure, and what it was made from.

    Attributes:
        job: the settings.
        data: name and source of the data set, sizes, and whether it is synthetic.
        points: the curve, by alpha.
        final: the last epoch of both trainings.
        environment: versions and hardware the run began on; all of them are in its environment.json.
        seconds: how long training (both) and evaluation took, summed over interruptions.

    """

    job: Job
    data: dict[str, Any]
    points: tuple[Point, ...]
    final: dict[str, Epoch]
    environment: dict[str, Any]
    seconds: dict[str, float]

    def curve(self, part: Literal["train", "test"]) -> Path:
        """The curve on one of the two sets."""
        return Path(
            kind=self.job.path,
            alphas=tuple(point.alpha for point in self.points),
            losses=tuple(getattr(point, f"{part}_loss") for point in self.points),
            accuracies=tuple(getattr(point, f"{part}_accuracy") for point in self.points),
            examples=self.data[part],
            batch_norm="batch",
            batch_size=self.job.evaluation_batch,
            precision="float32",
        )


def load(file: File) -> ParametricPlot:
    """Read the JSON of `sharpmin plot`: `asdict` of a plot, NaN and Infinity as Python spells them.

    Raises:
        RunError: the file cannot be read or is not such a file.

    """
    raw = read_json(file)
    try:
        job = raw["job"]
        configs = {name: TrainConfig.of(job[name]) for name in (SMALL, LARGE)}
        return ParametricPlot(
            **{
                **raw,
                "job": Job(**{**job, **configs}),
                "points": tuple(Point(**point) for point in raw["points"]),
                "final": {name: Epoch(**epoch) for name, epoch in raw["final"].items()},
            }
        )
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise RunError(
            f"{file} is not a parametric plot's JSON ({error}): give one that sharpmin plot wrote"
        ) from error


def summary(plot: ParametricPlot) -> str:
    """The two minimizers in a line each, where the grid has them."""
    names = {0.0: "small batch", 1.0: "large batch"}
    return "\n".join(
        f"alpha = {point.alpha:.0f}  {names[point.alpha]}:  "
        f"train loss {point.train_loss:.4f}, accuracy {100 * point.train_accuracy:.2f}%;  "
        f"test loss {point.test_loss:.4f}, accuracy {100 * point.test_accuracy:.2f}%"
        for point in plot.points
        if point.alpha in names
    )
