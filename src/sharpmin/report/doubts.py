"""What could mislead a reader of these numbers, in sentences."""

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from sharpmin.comparison import LOSSES, SLOPE
from sharpmin.history import Epoch, has_converged
from sharpmin.measures.sharpness import still_climbing
from sharpmin.paper.jobs import REGIMES
from sharpmin.report.evidence import over_trials
from sharpmin.report.story import Story, Trial
from sharpmin.spread import number

FEWEST = 3  # trials that a standard deviation takes at least


def doubts(story: Story) -> list[str]:
    """All of them, the gravest first; each once."""
    found = [
        *synthetic(story),
        *not_finite(story),
        *unfinished(story),
        *few(story),
        *batches(story),
        *not_converged(story),
        *slopes(story),
        *climbing(story),
        *uncertain(story),
        *unlike_losses(story),
        *subsets(story),
        *batch_norm(story),
        *machines(story),
        *of_comparisons(story),
    ]
    return list(dict.fromkeys(found))


def synthetic(story: Story) -> Iterator[str]:
    """Made-up data."""
    if any(trial.settings.get("data", {}).get("synthetic") for trial in story.trials):
        yield "The data are synthetic: made up, not real. Nothing here says anything about real data."


def not_finite(story: Story) -> Iterator[str]:
    """NaN and infinity, wherever they were met."""
    for trial in story.trials:
        for place, rows in places(trial):
            if bad := sum(not finite(row) for row in rows):
                yield f"{trial.name}: NaN or infinity in {bad} of {len(rows)} rows of {place}."
    for curve in story.paths:
        if bad := sum(not finite(row) for row in curve.rows):
            yield f"{curve.trial}: NaN or infinity at {bad} of {len(curve.rows)} points of the path."


def places(trial: Trial) -> Iterator[tuple[str, tuple[dict[str, Any], ...]]]:
    """What may hold a NaN, by name."""
    yield "sharpness", trial.sharpness
    yield "the spectrum", tuple({"values": row["eigenvalues"]} for row in trial.spectrum)
    yield "the noise scale", tuple({"value": row["value"]} for row in trial.noise_scale)
    readings = (trial.comparison or {}).get("readings", ())
    yield "the comparison", tuple({"value": r["value"]} for r in readings if not r.get("caveat"))
    for curve in trial.curves:
        yield f"the {curve.kind}", curve.rows
    for point, rows in trial.histories.items():
        yield f"the training of {point}", rows


def finite(value: Any) -> bool:
    """Whether every number in it is."""
    if isinstance(value, dict):
        return all(finite(part) for part in value.values())
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def unfinished(story: Story) -> Iterator[str]:
    """Trainings and curves that still go on, or were cut off."""
    for trial in story.trials:
        for point in trial.unfinished:
            yield f"{trial.name}: the training of {point} is not finished; the same sharpmin plot goes on with it."
        for curve in trial.curves:
            if len(curve.rows) < curve.planned:
                yield f"{trial.name}: {len(curve.rows)} of {curve.planned} points of the {curve.kind} are evaluated."


def batches(story: Story) -> Iterator[str]:
    """A "large batch" that is none, of runs made before it was refused."""
    small, large = story.batch("SB"), story.batch("LB")
    if small is not None and large is not None and large <= small:
        yield f"The large batch of {large} is not larger than the small batch of {small}: the names SB and LB mislead."


def few(story: Story) -> Iterator[str]:
    """Too few trials."""
    n = len(story.trials)
    if 0 < n < FEWEST and story.network:
        yield (
            f"{'One trial' if n == 1 else 'Two trials'} only: what another seed would give is not known. "
            f"Run sharpmin plot with other seeds; {FEWEST} are the least for a standard deviation."
        )


def not_converged(story: Story) -> Iterator[str]:
    """Trainings that ended while the loss was still coming down."""
    for point, part in REGIMES.items():
        ended = {t.name: t.histories.get(point, ()) for t in story.trials if point not in t.unfinished}
        patience = {t.name: t.settings.get(part, {}).get("patience", 10) for t in story.trials}
        going = [
            name for name, rows in ended.items() if rows and not has_converged(epochs(rows), patience=patience[name])
        ]
        if going:
            yield (
                f"{', '.join(going)}: the training loss of {point} was still coming down when training ended "
                "(see --until-converged). A minimizer that is not reached can look sharp or flat for that alone."
            )


def epochs(rows: tuple[dict[str, Any], ...]) -> tuple[Epoch, ...]:
    """A history as training has it."""
    known = [{field.name: row.get(field.name) for field in fields(Epoch)} for row in rows]
    return tuple(Epoch(**row) for row in known)  # type: ignore[arg-type]


def slopes(story: Story) -> Iterator[str]:
    """Points where the rise is mostly slope."""
    for point in story.points:
        rises = [
            row["first_order"] / rise
            for _, row in rows_of(story, "sharpness")
            if row["minimizer"] == point and (rise := row["max_loss"] - row["loss"]) > 0
        ]
        steep = [share for share in rises if share > SLOPE]
        if steep:
            yield (
                f"In {len(steep)} of {len(rises)} searches for the sharpness of {point}, {percents(steep)} of the rise "
                "is slope, not curvature: it is not at a minimum yet."
            )


def climbing(story: Story) -> Iterator[str]:
    """Searches that ended where the loss was still rising."""
    for point in story.points:
        rows = [row for _, row in rows_of(story, "sharpness") if row["minimizer"] == point]
        early = sum(still_climbing(row["status"], row.get("climb", ()), row["loss"]) for row in rows)
        if early:
            yield (
                f"In {early} of {len(rows)} searches for the sharpness of {point} the loss was still climbing when the "
                "iterations were over: the value is by these iterations, the maximum of the box may be far above it."
            )


def percents(shares: list[float]) -> str:
    """Say "53% to 88%"."""
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return low if low == high else f"{low} to {high}"


def rows_of(story: Story, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """The rows of one kind, with their trials."""
    return [(trial.name, row) for trial in story.trials for row in getattr(trial, kind)]


def uncertain(story: Story) -> Iterator[str]:
    """Measures that say of themselves that they did not settle."""
    open_ones = [
        f"{name}, {row['minimizer']}: {sum(not good for good in row['converged'])} of {len(row['converged'])}"
        for name, row in rows_of(story, "spectrum")
        if not all(row["converged"])
    ]
    if open_ones:
        yield f"Some eigenvalues did not converge; each lies within its residual ({'; '.join(open_ones)})."
    for name, row in rows_of(story, "noise_scale"):
        if row["status"] != "measured":
            yield f"{name}, {row['minimizer']}, noise scale: {row.get('message') or row['status']}."


def unlike_losses(story: Story) -> Iterator[str]:
    """Points that trained to losses far apart."""
    losses = {point: over_trials(story, point, "train_loss") for point in story.points}
    means = {point: one.mean for point, one in losses.items() if one.n and one.mean > 0}
    if len(means) > 1 and max(means.values()) / min(means.values()) > LOSSES:
        listed = ", ".join(f"{point} {number(mean)}" for point, mean in means.items())
        yield f"The training losses differ ({listed}): sharpness also tells how far a training got."


def subsets(story: Story) -> Iterator[str]:
    """Less than the whole training or test set."""
    for done, key in (("Trained", "train_size"), ("Tested", "test_size")):
        if story.trials and (size := story.trials[0].settings.get(key)):
            yield f"{done} on a subset of {size} examples, drawn anew for each seed."


def batch_norm(story: Story) -> Iterator[str]:
    """What BatchNorm did, where a number depends on it."""
    rows = [row for t in story.trials for kind in (t.sharpness, t.spectrum, t.noise_scale) for row in kind]
    policies = dict.fromkeys((row["batch_norm"], row.get("batch_size")) for row in rows if "batch_norm" in row)
    policies |= dict.fromkeys((c.batch_norm, c.batch_size) for t in story.trials for c in t.curves)
    policies |= dict.fromkeys((c.batch_norm, c.batch_size) for c in story.paths)
    names = list(dict.fromkeys(policy for policy, _ in policies))
    if len(names) > 1:
        yield f"Results under several BatchNorm policies ({', '.join(names)}) are here: of different functions."
    sizes = sorted({size for policy, size in policies if policy == "batch" and size})
    if sizes:
        yield (
            f"BatchNorm, where there is any, used the statistics of the evaluation batch ({', '.join(map(str, sizes))} "
            'examples; policy "batch", as in the paper). Another size or policy gives other numbers.'
        )


def machines(story: Story) -> Iterator[str]:
    """More than one machine or version."""
    versions = {(e.get("torch"), e.get("processor"), e.get("device")) for t in story.trials for e in t.environments}
    if len(versions) > 1:
        yield f"Computed on {len(versions)} different machines or versions; see Settings."


def of_comparisons(story: Story) -> Iterator[str]:
    """What sharpmin compare had to say."""
    for trial in story.trials:
        for caveat in (trial.comparison or {}).get("caveats", ()):
            yield f"{trial.name}: {caveat}"
