"""Robust training: each batch is also trained on with its inputs moved a little in the worst direction.

Adversarial training is a remedy of appendix E of Keskar et al. 2017; here it is that of Goodfellow, Shlens and Szegedy
2015 (equation of their section 4, and the loss of their section 6):

    x' = x + epsilon sign(grad_x f_B),    loss = c f_B(x) + (1 - c) f_B(x'),

with x' taken as data: its own dependence on the weights is not differentiated. Epsilon is 8/255 by
default, for pixels from 0 to 1, and c Goodfellow et al.'s half and half. The inputs' gradient comes from the
same backward pass as the weights', so a step costs two passes. x' is not clipped.
"""

from dataclasses import dataclass

from torch import Tensor

from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import UsageError
from sharpmin.remedies.gradient import Gradient


@dataclass(frozen=True)
class Robust:
    """How far the inputs are moved, and how much the moved ones count.

    Attributes:
        epsilon: the step of every input, in its own units.
        clean: c, the share of the inputs as they are in the loss.

    """

    epsilon: float = 8 / 255
    clean: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is not between the two losses."""
        if not 0 < self.epsilon < float("inf"):
            raise UsageError(f"adversarial epsilon {self.epsilon:g}: it must be above 0")
        if not 0 < self.clean < 1:
            raise UsageError(f"clean share {self.clean:g}: choose one between 0 and 1")


def robust_gradient(
    gradient: Gradient,
    inputs: Tensor,
    targets: Tensor,
    share: float = 1.0,
    *,
    epsilon: float,
    clean: float,
    group: Group = ALONE,
) -> tuple[Tensor, Tensor]:
    """Add `share` times the gradient of the mixed loss; give the loss and the hits of the inputs as they are.

    Of several processes each knows a part of the inputs' slope: the sum is that of the whole batch.
    """
    nominal = inputs.detach().requires_grad_()
    found = gradient(nominal, targets, share * clean)
    assert nominal.grad is not None
    gradient(worst(inputs, group.add_(nominal.grad), epsilon=epsilon), targets, share * (1 - clean))
    return found


def worst(inputs: Tensor, slope: Tensor, *, epsilon: float) -> Tensor:
    """The inputs moved by epsilon along the sign of the loss's slope.

    Example:
        >>> worst(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.1, -7.0, 0.0]), epsilon=0.5)
        tensor([1.5000, 1.5000, 3.0000])

    """
    return inputs + epsilon * slope.sign()
