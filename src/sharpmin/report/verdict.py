"""The answer in a sentence: which minimizer is sharper, and whether it generalises worse.

Each measure votes as in `sharpmin compare` (`sharpmin.comparison`), on the means over the trials: two means differ when
they are more than two standard errors apart, where there are several trials, and more than 10% in any case. It has one
vote by however many settings it was taken (`sharpmin.report.evidence.voting`), and what the others say is told. Test
accuracies likewise; those of a single trial differ when they are two binomial standard errors of the test set apart.
"""

import math
from dataclasses import dataclass

from sharpmin.comparison import Reading, Standing, sentence, vote
from sharpmin.report.evidence import Measured, measures, over_trials, voting
from sharpmin.report.story import Story
from sharpmin.spread import Spread, number

NOTHING = "No measure of sharpness was taken, so there is no verdict yet."


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Attributes:
        headline: in a sentence.
        details: who voted for what, and the numbers.
        flat: the flatter of the two points, by most measures.
        sharp: the sharper.

    """

    headline: str
    details: tuple[str, ...]
    flat: str | None = None
    sharp: str | None = None


def verdict(story: Story) -> Verdict:
    """Weigh what was measured."""
    found = measures(story)
    said = tuple(f"sharpmin compare, {t.name}: {t.comparison['verdict']}" for t in story.trials if t.comparison)
    if not found or len(story.points) < 2:
        return Verdict(NOTHING, (*accuracies(story), *said))
    voters = voting(story, found)
    flat, sharp = extremes(story, voters)
    votes = {one.name: cast(one, flat, sharp) for one in voters}
    silent = {one.name: cast(one, flat, sharp) for one in found if one.name not in votes}
    details = (
        sentence(standing(story, flat), standing(story, sharp), votes),
        *others(silent, sharp),
        *counts(found, flat, sharp),
    )
    return Verdict(headline(story, votes, silent, flat, sharp), (*details, *accuracies(story), *said), flat, sharp)


def extremes(story: Story, found: list[Measured]) -> tuple[str, str]:
    """The flattest and the sharpest point by the first measure, turned round where most measures say so."""
    order = sorted(story.points, key=lambda point: found[0].over(point).mean)
    flat, sharp = order[0], order[-1]
    votes = [ratio for one in found if (ratio := cast(one, flat, sharp)) is not None]
    against = sum(ratio < 1 for ratio in votes)
    return (sharp, flat) if against > len(votes) - against else (flat, sharp)


def cast(one: Measured, flat: str, sharp: str) -> float | None:
    """How many times `sharp` is the sharper by this measure; None where they cannot be told apart."""
    return vote(reading(one, flat), reading(one, sharp))


def reading(one: Measured, point: str) -> Reading:
    """The mean over the trials, as `sharpmin.comparison` takes it."""
    return Reading(one.name, point, one.over(point).mean, one.error(point), None, None)


def standing(story: Story, point: str) -> Standing:
    """What is known of a point beside its sharpness, as means over the trials."""
    known = {q: over_trials(story, point, q) for q in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")}
    means = {quantity: one.mean if one.n else None for quantity, one in known.items()}
    loss = means["train_loss"]
    return Standing(
        point,
        math.nan if loss is None else loss,
        means["train_accuracy"],
        means["test_loss"],
        means["test_accuracy"],
        math.nan,
    )


def others(silent: dict[str, float | None], sharp: str) -> list[str]:
    """Which setting of a measure has its vote, and what the other ones say."""
    if not silent:
        return []
    told = [f"{name} {'no difference' if ratio is None else f'{ratio:.3g}'}" for name, ratio in silent.items()]
    return [
        "A measure has one vote: Metric 2.1 as the paper took it, where it was taken so, else by most iterations. "
        f"By other settings {sharp} is so many times as sharp: {', '.join(told)}."
    ]


def headline(
    story: Story, votes: dict[str, float | None], silent: dict[str, float | None], flat: str, sharp: str
) -> str:
    """The answer in a sentence."""
    more = sum(ratio is not None and ratio > 1 for ratio in votes.values())
    less = sum(ratio is not None and ratio < 1 for ratio in votes.values())
    one, other = story.called(sharp), story.called(flat)
    if more > less:
        share = (
            ""
            if len(votes) == 1
            else " by every measure taken"
            if more == len(votes)
            else f" by {more} of {len(votes)} measures"
        )
        opposed = ", though not by every setting" if any(ratio and ratio < 1 for ratio in silent.values()) else ""
        return capital(f"{one} is sharper than {other}{share}{opposed}{worse(story, flat, sharp)}.")
    start = (
        f"the measures disagree on whether {one} or {other} is the sharper"
        if more
        else f"nothing measured here tells {one} and {other} apart in sharpness"
    )
    return capital(start) + "."


def worse(story: Story, flat: str, sharp: str) -> str:
    """Whether the sharper one generalises worse, as the end of the sentence."""
    differs = difference(story, flat, sharp)
    if differs is None:
        return ""
    return {
        1: ", and it generalises worse",
        -1: ", yet it generalises better",
        0: ", and no difference in test accuracy is seen",
    }[differs]


def difference(story: Story, flat: str, sharp: str) -> int | None:
    """1 where the test accuracy of `flat` is clearly higher, -1 where it is lower, 0 where neither, None: not known."""
    first, second = (over_trials(story, point, "test_accuracy") for point in (flat, sharp))
    if not first.n or not second.n:
        return None
    apart = first.mean - second.mean
    clear = 2 * math.hypot(uncertainty(story, first), uncertainty(story, second))
    return 0 if not abs(apart) > clear else 1 if apart > 0 else -1


def uncertainty(story: Story, accuracy: Spread) -> float:
    """The standard error of a mean accuracy: over trials, or of one accuracy on so many test examples."""
    if accuracy.error is not None:
        return accuracy.error
    examples = story.trials[0].settings.get("data", {}).get("test")
    return math.sqrt(accuracy.mean * (1 - accuracy.mean) / examples) if examples else 0.0


def counts(found: list[Measured], flat: str, sharp: str) -> list[str]:
    """By trial: in how many the sharper point has the larger value, and between what ratios."""
    said = []
    for one in found:
        pairs = one.pairs(flat, sharp)
        if len(pairs) < 2:
            continue
        ratios = [b / a for a, b in pairs if a > 0]
        span = f", {number(min(ratios))} to {number(max(ratios))} times" if ratios else ""
        larger = sum(b > a for a, b in pairs)
        said.append(f"{sharp} has the larger value in {larger} of {len(pairs)} trials by {one.name}{span}.")
    return said


def accuracies(story: Story) -> list[str]:
    """The test accuracies in percent."""
    found = {point: over_trials(story, point, "test_accuracy") for point in story.points}
    shown = [f"{point} {one.fixed(times=100)}%" for point, one in found.items() if one.n]
    trials = max((one.n for one in found.values()), default=0)
    return [f"Test accuracy: {', '.join(shown)} ({trials} {'trial' if trials == 1 else 'trials'})."] if shown else []


def capital(text: str) -> str:
    """Begin a sentence."""
    return text[:1].upper() + text[1:] if text.startswith(("the ", "nothing ")) else text
