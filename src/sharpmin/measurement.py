"""Loss and accuracy at a point, added up batch by batch."""

from dataclasses import dataclass

from sharpmin.errors import UsageError
from sharpmin.losses import Sum


@dataclass(frozen=True)
class Measurement:
    """Loss and accuracy at one theta.

    Attributes:
        loss: f(theta), the mean per-example loss.
        accuracy: fraction of examples classified correctly; None where the loss function counts no hits, or the loss
            is not finite: what is NaN classifies nothing.
        examples: N.
        non_finite: the first batch, counted from 0, whose loss is NaN or infinite; None where all are finite.

    """

    loss: float
    accuracy: float | None
    examples: int
    non_finite: int | None = None


class Tally:
    """What the batches so far add to f at one theta."""

    def __init__(self) -> None:
        self.total, self.examples = 0.0, 0
        self.hits: int | None = None
        self.non_finite: int | None = None

    def add(self, number: int, found: Sum) -> None:
        """Add batch `number`, counted from 0."""
        self.total += found.total.item()
        self.examples += found.examples
        if found.hits is not None:
            self.hits = (self.hits or 0) + int(found.hits)
        if self.non_finite is None and not found.total.isfinite():
            self.non_finite = number

    def measurement(self) -> Measurement:
        """The mean over all of them.

        Raises:
            UsageError: there was no example.

        """
        check_examples(self.examples)
        accuracy = None if self.hits is None or self.non_finite is not None else self.hits / self.examples
        return Measurement(self.total / self.examples, accuracy, self.examples, self.non_finite)


def check_examples(examples: int) -> None:
    """Raise a UsageError where a pass over the data met no example."""
    if not examples:
        raise UsageError("the data gave no examples: f needs at least one, and a generator can be read only once")
