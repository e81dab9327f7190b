"""A batch that grows during training instead of a learning rate that decays.

Smith, Kindermans, Ying and Le 2018: where a schedule would divide the learning rate, the batch is multiplied instead,
so the gradient's noise falls alike and the steps become fewer:

    batch(epoch) = min(start factor^floor((epoch - 1) / every), batch size).

The training begins as a small-batch one, which finds a flat region, and ends with the large batch.
"""

from dataclasses import dataclass

from sharpmin.errors import UsageError


@dataclass(frozen=True)
class GrowingBatch:
    """From which batch to the full one, and how fast.

    Attributes:
        start: examples per step in the first epochs.
        factor: from one stage to the next.
        every: epochs of a stage.

    """

    start: int = 256
    factor: float = 5.0
    every: int = 5

    def __post_init__(self) -> None:
        """Refuse a batch that does not grow."""
        if self.start < 1:
            raise UsageError(f"first batch {self.start}: give at least 1")
        if not 1 < self.factor < float("inf"):
            raise UsageError(f"growth factor {self.factor:g}: it must be above 1")
        if self.every < 1:
            raise UsageError(f"grow every {self.every} epochs: give at least 1")


def grown(epoch: int, growing: GrowingBatch, *, batch_size: int) -> int:
    """The batch size of an epoch, counted from 1.

    Example:
        >>> [grown(epoch, GrowingBatch(every=2), batch_size=5000) for epoch in (1, 2, 3, 4, 5, 99)]
        [256, 256, 1280, 1280, 5000, 5000]

    Source: Smith et al. 2018, section 5.

    """
    stages = (epoch - 1) // growing.every
    size = float(growing.start)
    while stages and size < batch_size:
        size, stages = size * growing.factor, stages - 1
    return min(int(size), batch_size)
