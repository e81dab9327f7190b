"""What was measured at each point, over the trials: sharpness by every measure, and loss and accuracy.

Values are gathered only where everything but the seed agrees: epsilon, space, start, BatchNorm's policy, evaluation
batch and so on are part of what a number measures. Of one thing measured twice in a trial the later row counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sharpmin.paper.grids import ALPHAS
from sharpmin.paper.metric import AS_IN_THE_PAPER, EPSILONS, asked, in_words, unlike_the_paper
from sharpmin.report.story import Row, Story, Trial
from sharpmin.spread import Spread, spread

HOW_SHARPNESS = (
    *("epsilon", "subspace", "start", "iterations", "solver", "batch_norm", "batch_size", "precision", "only"),
)
HOW_SPECTRUM = ("matrix", "layers", "batch_norm", "batch_size", "precision")
STANDING = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Measured:
    """One measure of sharpness.

    Attributes:
        name: "Metric 2.1 (ε 0.001)".
        how: what it was measured with.
        values: by point and trial.
        errors: of a single trial's value, where the measure has one.

    """

    name: str
    how: Row
    values: dict[str, dict[str, float]]
    errors: dict[str, float | None]

    @property
    def measure(self) -> str:
        """Its name without the settings: "Metric 2.1"."""
        return self.name.partition(" (")[0].partition(",")[0]

    def over(self, point: str) -> Spread:
        """Over the trials."""
        return Spread(tuple(self.values[point].values()))

    def error(self, point: str) -> float | None:
        """The standard error over trials, or of the single trial there is."""
        found = self.over(point)
        return found.error if found.n > 1 else self.errors.get(point)

    def pairs(self, first: str, second: str) -> list[tuple[float, float]]:
        """The two points' values in each trial that has both."""
        return [(value, self.values[second][t]) for t, value in self.values[first].items() if t in self.values[second]]


def measures(story: Story) -> list[Measured]:
    """Every measure that was taken at every point, each once."""
    found = [*metric_2_1(story), *lambda_max(story)]
    known = {one.name: one for one in found}
    for one in compared(story):
        if one.name not in known:
            found.append(one)
        elif n_of(one) > n_of(known[one.name]):
            found[found.index(known[one.name])] = one
    return [one for one in found if all(point in one.values for point in story.points)]


def n_of(one: Measured) -> int:
    """The number of trials of the point with fewest."""
    return min(len(values) for values in one.values.values())


def metric_2_1(story: Story) -> Iterator[Measured]:
    """From the rows of `sharpmin sharpness`."""

    def name(how: Row) -> str:
        told = [f"ε {how['epsilon']:g}"]
        told += [f"{how['subspace']} directions"] if how["subspace"] else []
        told += [in_words(key, how[key]) for key in ("iterations", "only") if how[key] != AS_IN_THE_PAPER[key]]
        return f"Metric 2.1 ({', '.join(told)})"

    rows = [(trial.name, {**row, **asked(row)}) for trial in story.trials for row in trial.sharpness]
    yield from grouped(rows, HOW_SHARPNESS, name, lambda row: (row["value"], None))


def as_in_the_paper(story: Story, one: Measured) -> bool:
    """Whether this is Metric 2.1 in the full space or in 100 directions as the paper's tables have it."""
    examples = story.trials[0].settings.get("data", {}).get("train")
    asked_for = one.how.get("epsilon") in EPSILONS and one.how.get("subspace") in (None, 100)
    return asked_for and examples is not None and not unlike_the_paper(one.how, examples=examples)


def voting(story: Story, found: Sequence[Measured]) -> list[Measured]:
    """One of each measure: the paper's Metric 2.1, else of all weights, in the full space, by most iterations."""

    def rank(one: Measured) -> tuple[Any, ...]:
        how = one.how
        few = (how.get("only") is not None, how.get("subspace") is not None)
        return (not as_in_the_paper(story, one), *few, -how.get("iterations", 10), -how.get("epsilon", 1e-3))

    names = dict.fromkeys(one.measure for one in found)
    return [min((one for one in found if one.measure == name), key=rank) for name in names]


def lambda_max(story: Story) -> Iterator[Measured]:
    """From the rows of `sharpmin spectrum` that looked at the top."""
    rows = [
        (trial.name, {**row, "layers": len(row.get("names", ()))})
        for trial in story.trials
        for row in trial.spectrum
        if row.get("which") != "bottom" and row["eigenvalues"]
    ]

    def name(how: Row) -> str:
        return "lambda-max" + (" of the Gauss-Newton matrix" if how["matrix"] == "gauss-newton" else "")

    yield from grouped(rows, HOW_SPECTRUM, name, lambda row: (row["eigenvalues"][0], row["residuals"][0]))


def compared(story: Story) -> Iterator[Measured]:
    """From compare.json, where all was taken as it is taken by default."""
    names = {"metric-2.1": "Metric 2.1 (ε 0.001)", "adaptive": "adaptive", "lambda-max": "lambda-max"}
    rows = [
        (trial.name, reading)
        for trial in story.trials
        for reading in (trial.comparison or {}).get("readings", ())
        if reading["measure"] in names
    ]

    def name(how: Row) -> str:
        return names[how["measure"]]

    how = ("measure", "batch_norm", "batch_size", "precision")
    yield from grouped(rows, how, name, lambda row: (row["value"], row.get("error")))


def grouped(
    rows: Sequence[tuple[str, Row]],
    fields: Sequence[str],
    name: Callable[[Row], str],
    read: Callable[[Row], tuple[float, float | None]],
) -> Iterator[Measured]:
    """Rows by how they were measured; where two groups would be called the same, by what they differ in."""
    groups: dict[tuple[Any, ...], list[tuple[str, Row]]] = {}
    for trial, row in rows:
        groups.setdefault(tuple(row.get(field) for field in fields), []).append((trial, row))
    ways = [dict(zip(fields, key, strict=True)) for key in groups]
    for how, members in zip(ways, groups.values(), strict=True):
        namesakes = [other for other in ways if name(other) == name(how)]
        unlike = [field for field in fields if any(other[field] != how[field] for other in namesakes)]
        values: dict[str, dict[str, float]] = {}
        errors: dict[str, float | None] = {}
        for trial, row in members:
            value, errors[row["minimizer"]] = read(row)
            values.setdefault(row["minimizer"], {})[trial] = value
        tail = "".join(f", {in_words(field, how[field])}" for field in unlike)
        yield Measured(name(how) + tail, how, values, errors)


def standing(trial: Trial, point: str) -> Row:
    """Loss and accuracy at a point: as evaluated on the line, else as compared, else nothing."""
    line = trial.line()
    if line is not None and point in ALPHAS and (row := line.at(ALPHAS[point])) is not None:
        return {key: row[key] for key in STANDING}
    for known in (trial.comparison or {}).get("points", ()):
        if known["point"] == point:
            return {
                "train_loss": known["loss"],
                "train_accuracy": known.get("accuracy"),
                "test_loss": known.get("test_loss"),
                "test_accuracy": known.get("test_accuracy"),
            }
    return dict.fromkeys(STANDING)


def over_trials(story: Story, point: str, quantity: str) -> Spread:
    """A quantity of `standing`, or "gap": train minus test accuracy, in each trial."""
    rows = [standing(trial, point) for trial in story.trials]
    if quantity != "gap":
        return spread(row[quantity] for row in rows)
    return spread(
        None if None in (r["train_accuracy"], r["test_accuracy"]) else r["train_accuracy"] - r["test_accuracy"]
        for r in rows
    )
