"""A learning rate that grows with the batch, and is reached gradually.

Goyal et al. 2017, section 2: k times the batch, k times the learning rate (linear scaling); and because the weights
change fast at first, the rate begins as that of the small batch and grows by the same amount at every step (gradual
warm-up):

    rate(t) = rate (1 + (k - 1) min(t / T, 1)),    k = batch size / reference,

with t steps done and T steps in the epochs of warm-up. Their rule is for SGD; with Adam, whose steps do not grow with
the gradient, it is the same formula and a bolder one.
"""

from dataclasses import dataclass

from sharpmin.errors import UsageError


@dataclass(frozen=True)
class WarmUp:
    """How the learning rate is scaled and how slowly it gets there.

    Attributes:
        epochs: of warm-up; 0 to begin with the scaled rate.
        reference: the batch size that the learning rate is right for.

    """

    epochs: int = 5
    reference: int = 256

    def __post_init__(self) -> None:
        """Refuse numbers below their least."""
        if self.epochs < 0:
            raise UsageError(f"{self.epochs} epochs of warm-up: take 0 or more")
        if self.reference < 1:
            raise UsageError(f"reference batch {self.reference}: give at least 1")


def warmed_up(rate: float, done: int, warm_up: WarmUp, *, batch_size: int, steps: int) -> float:
    """The learning rate of the next step.

    Args:
        rate: of the reference batch.
        done: steps done since the training began.
        warm_up: how.
        batch_size: of the training.
        steps: in an epoch.

    Example:
        >>> [warmed_up(0.1, t, WarmUp(epochs=1), batch_size=768, steps=4) for t in (0, 2, 4, 99)]
        [0.1, 0.2, 0.30000000000000004, 0.30000000000000004]

    Source: Goyal et al. 2017, sections 2.1 and 2.2.

    """
    k, last = batch_size / warm_up.reference, warm_up.epochs * steps
    return rate * (1 + (k - 1) * (min(done / last, 1.0) if last else 1.0))
