"""A batch of a chain network with its forward and backward pass kept: see `sharpmin.products.chain`."""

from collections.abc import Set
from typing import Any

import torch
from torch import Tensor

from sharpmin.objective import Objective
from sharpmin.products.autograd import Share
from sharpmin.products.chain import Chain, can_chain
from sharpmin.products.outputs import Opaque, at_outputs
from sharpmin.products.steps import Named


class Tape:
    """One batch, ready for products.

    Args:
        objective: f, of a model for which `can_tape` holds.
        weights: of theta, by name.
        varied: names of those that v moves.
        batch: as the objective reads it.
        gauss_newton: rather than the Hessian.

    Raises:
        Opaque: the loss does more with the model than call it once, on one tensor.

    """

    def __init__(
        self, objective: Objective, weights: Named, varied: Set[str], batch: Any, *, gauss_newton: bool
    ) -> None:
        self.chain = Chain(objective.model, every_weight(objective, weights), varied)  # type: ignore[arg-type]
        self.loss = at_outputs(objective, self._forward, batch)
        if not gauss_newton:
            self.chain.backward(self.loss.slopes[0].detach())
        self.kept = self.chain.kept

    def product(self, v: Named) -> Share:
        """The product with v, summed over the examples."""
        sums = self.chain.product(v, lambda y_dot: self.loss.curve([y_dot])[0])
        return Share(self.loss.examples, tuple(sums[name] if name in sums else v[name] * 0 for name in v))

    def _forward(self, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs or len(args) != 1 or not isinstance(args[0], Tensor):
            raise Opaque("calls the model with more than one tensor")
        return self.chain.forward(args[0])


def can_tape(objective: Objective, dtype: torch.dtype) -> bool:
    """Whether the objective's model is a chain, to be evaluated on a CPU in theta's dtype throughout."""
    dtypes = {weight.dtype for weight in every_weight(objective, {}).values()}
    plain = objective.device.type == "cpu" and objective.precision == "float32"
    return plain and can_chain(objective.model) and dtypes == {dtype} < {torch.float32, torch.float64}


def every_weight(objective: Objective, weights: Named) -> dict[str, Tensor]:
    """All the model's weights by name, those given and the rest its own."""
    own = {name: objective.host.moved(weight.detach()) for name, weight in objective.model.named_parameters()}
    return {**own, **weights}
