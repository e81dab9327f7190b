"""Which of several minimizers is sharper, by which measure, by how much, and what could mislead here.

Each measure answers another question and each is fooled by something else (docs/which-measure.md). So several are
taken at every point, they vote, and the verdict says who voted for what. Two values differ when they are more than two
standard errors apart, where a measure has them, and more than 10% in any case.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sharpmin import measures
from sharpmin.errors import SharpminError
from sharpmin.objective import Objective
from sharpmin.progress import Progress

ENOUGH = 1.1  # a ratio below which two values are called the same
SLOPE = 0.5  # share of the rise that is first order, from which on a point is called a slope
NORMS = 1.25  # ratio of weight norms from which on they are mentioned
LOSSES = 2.0  # ratio of training losses likewise


@dataclass(frozen=True)
class Reading:
    """One measure at one point.

    Attributes:
        measure: its name.
        point: the point's.
        value: what it gave.
        error: a standard error or residual bound; None where the measure has none.
        caveat: what could mislead at this point, or None.
        result: the whole result with its evidence; None where the measure could not be taken, and the value is NaN.

    """

    measure: str
    point: str
    value: float
    error: float | None
    caveat: str | None
    result: Any


Take = Callable[..., Reading]


def read(measure: str, objective: Objective, point: str, *, seed: int, progress: Progress) -> Reading:
    """Take a measure at a point; where it cannot be taken, a reading that says why, so that the others are kept."""
    try:
        return MEASURES[measure](objective, point, seed=seed, progress=progress)
    except SharpminError as error:
        return Reading(measure, point, math.nan, None, f"{measure} could not be taken at {point}: {error}", None)


def metric_2_1(objective: Objective, point: str, *, seed: int, progress: Progress) -> Reading:
    """Metric 2.1 in the full space at epsilon = 1e-3."""
    found = measures.sharpness(objective, seed=seed, progress=progress)
    rise = found.max_loss - found.loss
    caveat = None
    if rise > 0 and found.first_order > SLOPE * rise:
        caveat = f"{found.first_order / rise:.0%} of the rise is slope: {point} is not at a minimum yet"
    elif found.still_climbing:
        caveat = f"metric-2.1 at {point} was still climbing when its {found.iterations} iterations were over"
    return Reading("metric-2.1", point, found.value, None, caveat, found)


def adaptive(objective: Objective, point: str, *, seed: int, progress: Progress) -> Reading:
    """Adaptive sharpness (ASAM), which no rescaling of ReLU layers changes."""
    found = measures.adaptive_sharpness(objective, steps=10, seed=seed, progress=progress)
    return Reading("adaptive", point, found.value, None, None, found)


def lambda_max(objective: Objective, point: str, *, seed: int, progress: Progress) -> Reading:
    """The largest eigenvalue of the Hessian, with the norm of its residual."""
    found = measures.spectrum(objective, k=1, seed=seed, progress=progress)
    value, residual = float(found.eigenvalues[0]), float(found.residuals[0])
    caveat = None if bool(found.converged.all()) else f"lambda-max has not converged: residual {residual:.2g}"
    return Reading("lambda-max", point, value, residual, caveat, found)


def noise_scale(objective: Objective, point: str, *, seed: int, progress: Progress) -> Reading:
    """The gradient noise scale, in examples: not a sharpness, but what a batch size is to be compared with."""
    found = measures.noise_scale(objective, seed=seed, progress=progress)
    caveat = None if found.status == "measured" else f"noise-scale: {found.message}"
    return Reading("noise-scale", point, found.value, found.standard_error, caveat, found)


MEASURES: dict[str, Take] = {
    "metric-2.1": metric_2_1,
    "adaptive": adaptive,
    "lambda-max": lambda_max,
    "noise-scale": noise_scale,
}
SHARPNESS = ("metric-2.1", "adaptive", "lambda-max")


@dataclass(frozen=True)
class Standing:
    """What is known of a point beside its sharpness.

    Attributes:
        point: its name.
        loss: on the data f is the mean over.
        accuracy: there; None where the loss counts no hits.
        test_loss: on held-out data, where there are any.
        test_accuracy: there.
        norm: |theta|.

    """

    point: str
    loss: float
    accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    norm: float


def verdict(standings: Sequence[Standing], readings: Sequence[Reading]) -> str:
    """Say which point is sharper, by which measures, by how much: the two extremes, where there are more than two."""
    if not taken(readings):
        return "No measure of sharpness was taken, so there is no verdict."
    first = taken(readings)[0]
    order = sorted(standings, key=lambda standing: reading(readings, first, standing.point).value)
    votes = votes_between(order[0], order[-1], readings)
    against = [name for name, ratio in votes.items() if ratio is not None and ratio < 1]
    if len(against) > len([ratio for ratio in votes.values() if ratio is not None and ratio > 1]):
        order.reverse()
        votes = votes_between(order[0], order[-1], readings)
    return sentence(order[0], order[-1], votes)


def votes_between(flat: Standing, sharp: Standing, readings: Sequence[Reading]) -> dict[str, float | None]:
    """By measure, how many times `sharp` is the sharper one."""
    return {n: vote(reading(readings, n, flat.point), reading(readings, n, sharp.point)) for n in taken(readings)}


def sentence(flat: Standing, sharp: Standing, votes: dict[str, float | None]) -> str:
    """The votes in words."""
    more = [f"{name} {ratio:.3g} times" for name, ratio in votes.items() if ratio is not None and ratio > 1]
    less = [f"{name} says the opposite, {1 / ratio:.3g} times" for name, ratio in votes.items() if ratio and ratio < 1]
    same = [f"{name} cannot tell" for name, ratio in votes.items() if ratio is None]
    if not more:
        return f"Nothing taken here tells {flat.point} and {sharp.point} apart: {'; '.join(same + less)}."
    found = f"{sharp.point} is sharper than {flat.point} by {len(more)} of {len(votes)} measures ({', '.join(more)})"
    return "; ".join([found, *less, *same]) + "." + generalisation(flat, sharp)


def generalisation(flat: Standing, sharp: Standing) -> str:
    """Whether the sharper one is worse on held-out data."""
    if flat.test_loss is None or sharp.test_loss is None:
        return " There are no held-out data, so nothing is said of generalisation."
    how = "higher" if sharp.test_loss > flat.test_loss else "not higher"
    return f" Its test loss is {how}: {sharp.test_loss:.4g} against {flat.test_loss:.4g}."


def caveats(
    standings: Sequence[Standing], readings: Sequence[Reading], *, batch_norm: str, has_norms: bool
) -> list[str]:
    """What could mislead, in sentences."""
    found = [reading.caveat for reading in readings if reading.caveat]
    losses = [standing.loss for standing in standings]
    if min(losses) > 0 and max(losses) / min(losses) > LOSSES and max(losses) > 0.05:
        found.append(f"the training losses differ ({numbers(losses)}): sharpness also tells how far a training got")
    norms = [standing.norm for standing in standings]
    if min(norms) > 0 and max(norms) / min(norms) > NORMS:
        found.append(
            f"the weights differ in norm ({numbers(norms)}); only the adaptive measure ignores a rescaling of layers"
        )
    if has_norms:
        found.append(f'BatchNorm was evaluated by the policy "{batch_norm}"; other policies give other numbers')
    return found


def numbers(values: Sequence[float]) -> str:
    """Say "0.12, 3.4"."""
    return ", ".join(f"{value:.3g}" for value in values)


def vote(flat: Reading, sharp: Reading) -> float | None:
    """How many times `sharp` is the sharper one; below 1 where it is not, None where they cannot be told apart."""
    if not (flat.value > 0 and sharp.value > 0):
        return None
    ratio = sharp.value / flat.value
    apart = abs(sharp.value - flat.value) > 2 * math.hypot(flat.error or 0, sharp.error or 0)
    return ratio if apart and not 1 / ENOUGH < ratio < ENOUGH else None


def taken(readings: Sequence[Reading]) -> list[str]:
    """The measures of sharpness that were taken at every point."""
    missed = {reading.measure for reading in readings if reading.result is None}
    return [name for name in SHARPNESS if name not in missed and any(r.measure == name for r in readings)]


def reading(readings: Sequence[Reading], measure: str, point: str) -> Reading:
    """The reading of a measure at a point."""
    return next(r for r in readings if (r.measure, r.point) == (measure, point))
