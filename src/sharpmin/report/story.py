"""What a report tells of: everything read from disk, as plain frozen data.

A trial is a run folder: one seed. Its points are the minimizers compared, "SB" and "LB" of a run of sharpmin plot, or a
task's checkpoints by name. Rows are kept as the verbs wrote them.
"""

from dataclasses import dataclass
from typing import Any

from sharpmin.data.record import titled
from sharpmin.paper.grids import have_minimizers
from sharpmin.paper.jobs import REGIMES

Row = dict[str, Any]


@dataclass(frozen=True)
class Curve:
    """Loss and accuracy along something between two points.

    Attributes:
        trial: whose.
        kind: "line" or "arc", or how a connecting curve is called.
        ends: the points at its two ends.
        rows: one a place: "alpha", "train_loss", "train_accuracy", "test_loss", "test_accuracy"; None for what there
            is not.
        planned: how many places were asked for.
        batch_norm: the policy of f.
        batch_size: the evaluation batch; None where the data came in batches of their own.

    """

    trial: str
    kind: str
    ends: tuple[str, str]
    rows: tuple[Row, ...]
    planned: int
    batch_norm: str
    batch_size: int | None

    def at(self, alpha: float) -> Row | None:
        """The row there, where it was evaluated."""
        return next((row for row in self.rows if row["alpha"] == alpha), None)


@dataclass(frozen=True)
class Plane:
    """Losses over a grid. Rows are betas, columns alphas.

    Attributes:
        name: whose, and of which set.
        kind: "random", "checkpoints", "trajectory" or "given".
        alphas: of the columns.
        betas: of the rows.
        losses: at each point.
        accuracies: likewise; None where there are none.
        marks: points with "name", "alpha", "beta" and perhaps "distance".
        how: everything else that the file says.

    """

    name: str
    kind: str
    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    accuracies: tuple[tuple[float | None, ...], ...] | None
    marks: tuple[Row, ...]
    how: Row


@dataclass(frozen=True)
class Lines:
    """Losses along random lines through one point, a row a line; `how` is everything else that the file says."""

    name: str
    alphas: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    how: Row


@dataclass(frozen=True)
class Connection:
    """A curve between two minimizers and the straight line, at the same places."""

    name: str
    ends: tuple[str, str]
    ts: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float | None, ...]
    line_losses: tuple[float, ...]
    line_accuracies: tuple[float | None, ...]
    note: str


@dataclass(frozen=True)
class Trial:
    """A run folder.

    Attributes:
        name: "seed 0", or the folder's.
        folder: where it lies.
        settings: settings.json.
        points: what was compared; the first is called flat until measured otherwise.
        unfinished: trainings without a solution yet.
        histories: by point, a row an epoch.
        curves: between the two minimizers.
        sharpness: rows of `sharpmin sharpness`.
        spectrum: rows of `sharpmin spectrum`.
        density: rows of `sharpmin spectrum --density`.
        noise_scale: rows of `sharpmin noise-scale`.
        comparison: compare.json.
        environments: every distinct machine and version that something here was computed on.

    """

    name: str
    folder: str
    settings: Row
    points: tuple[str, ...]
    unfinished: tuple[str, ...]
    histories: dict[str, tuple[Row, ...]]
    curves: tuple[Curve, ...]
    sharpness: tuple[Row, ...]
    spectrum: tuple[Row, ...]
    density: tuple[Row, ...]
    noise_scale: tuple[Row, ...]
    comparison: Row | None
    environments: tuple[Row, ...]

    @property
    def network(self) -> str | None:
        """The paper's, where it is one."""
        return self.settings.get("network")

    def line(self) -> Curve | None:
        """The straight line; of several grids the finest, those first that have both minimizers."""
        lines = [curve for curve in self.curves if curve.kind == "line" and curve.rows]
        return max(lines, key=lambda one: (have_minimizers(one.rows), len(one.rows)), default=None)


@dataclass(frozen=True)
class Story:
    """All of it.

    Attributes:
        trials: that differ in nothing but the seed.
        paths: between checkpoints, from `sharpmin path` or a parametric plot's JSON.
        planes: as `sharpmin plane` wrote them.
        lines: as `sharpmin plane --lines` wrote them.
        connections: as `sharpmin connect` wrote them.
        monitors: by name, the rows that a monitor wrote in training.
        sources: every file that was read.

    """

    trials: tuple[Trial, ...]
    paths: tuple[Curve, ...] = ()
    planes: tuple[Plane, ...] = ()
    lines: tuple[Lines, ...] = ()
    connections: tuple[Connection, ...] = ()
    monitors: tuple[tuple[str, tuple[Row, ...]], ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def points(self) -> tuple[str, ...]:
        """What is compared."""
        return self.trials[0].points if self.trials else ()

    @property
    def network(self) -> str | None:
        """The paper's, where it is one."""
        return self.trials[0].network if self.trials else None

    @property
    def subject(self) -> str:
        """What this is about: "F1 on MNIST", or a task's name."""
        if not self.trials:
            return "Loss landscape"
        settings = self.trials[0].settings
        return f"{self.network} on {titled(settings['data'])}" if self.network else settings["task"]

    def batch(self, point: str) -> int | None:
        """The batch size a point was trained with, where that is known."""
        if not self.network or point not in REGIMES:
            return None
        return self.trials[0].settings[REGIMES[point]]["batch_size"]

    def called(self, point: str) -> str:
        """A point in words: "the large-batch minimizer"."""
        return {"SB": "the small-batch minimizer", "LB": "the large-batch minimizer"}.get(point, point)
