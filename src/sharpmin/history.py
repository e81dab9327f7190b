"""What a training leaves after each epoch, and when its loss has ceased to improve."""

from dataclasses import dataclass, field

from torch import Tensor

from sharpmin.train_config import TrainConfig


@dataclass(frozen=True)
class Epoch:
    """One line of the history.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch's examples of the loss as trained, dropout included.
        train_accuracy: likewise, a fraction.
        test_loss: loss on the test set after the epoch, without dropout; BatchNorm uses its running statistics, or
            those of the batch where it keeps none, as the paper's networks do.
        test_accuracy: likewise, a fraction.
        seconds: training time of the epoch, without the test.

    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float | None
    seconds: float


@dataclass(frozen=True, eq=False)
class State:
    """Everything a run needs to go on.

    Attributes:
        weights: by name, and the model's buffers, such as BatchNorm's running statistics, those too that its
            `state_dict` leaves out.
        moments: the optimizer's, by the name of the weight.
        history: a line for each epoch done.

    """

    weights: dict[str, Tensor]
    moments: dict[str, Tensor] = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.history)


def has_converged(
    history: tuple[Epoch, ...], *, patience: int = 10, relative: float = 0.01, absolute: float = 1e-4
) -> bool:
    """Whether the loss has ceased to improve.

    The paper trains "until the loss ceases to improve" and leaves the rule open. Ours: in the last `patience`
    epochs the lowest training loss came down by less than `relative` times its value, or by less than `absolute`.
    (Without `absolute`, a network that fits its training set goes on for hundreds of epochs: its loss falls by
    a steady share of almost nothing.)
    (Ten epochs, because Adam at a constant learning rate is noisy: of five trainings of F1 at batch 256, a patience of
    five stopped two after a lucky epoch, at twice the loss of the others and three times their sharpness.)

    Example:
        >>> falling = tuple(Epoch(i, 2.0**-i, 0.0, None, None, 0.0) for i in range(1, 14))
        >>> has_converged(falling), has_converged(falling[:2] + falling[1:2] * 10)
        (False, True)

    """
    losses = [epoch.train_loss for epoch in history]
    if len(losses) <= patience:
        return False
    before = min(losses[:-patience])
    return min(losses[-patience:]) >= before - max(relative * before, absolute)


def ended(config: TrainConfig, history: tuple[Epoch, ...]) -> bool:
    """Whether to stop before the last epoch."""
    return config.until_converged and has_converged(history, patience=config.patience)


def epochs_in_words(*counts: int) -> str:
    """How many.

    Example:
        >>> epochs_in_words(1), epochs_in_words(20), epochs_in_words(20, 1)
        ('1 epoch', '20 epochs', '20 and 1 epochs')

    """
    return f"{' and '.join(map(str, counts))} epoch{'' if counts == (1,) else 's'}"
