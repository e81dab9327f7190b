"""The loss as a function of the model's outputs alone: L(z), with its gradient and the product with its Hessian H_L.

A stand-in takes the model's place in the loss function. It hands out the outputs z as variables, so that L can be
differentiated in them. This needs a loss that calls the model once and uses nothing else of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from sharpmin.errors import UsageError
from sharpmin.losses import check_depends
from sharpmin.objective import Objective


class Opaque(UsageError):
    """The loss does more with the model than call it once."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the loss {what}: it can be taken as a function of the model's outputs only if it calls the model exactly "
            "once and uses nothing else of it"
        )


class StandIn(nn.Module):
    """In the model's place in a loss: called once, it computes the outputs and hands them out as variables."""

    def __init__(self, compute: Callable[..., Any]) -> None:
        super().__init__()
        self.training = False
        self._compute = (compute,)  # in a tuple: a module is not to be registered here
        self.computed: list[Tensor] | None = None
        self.variables: list[Tensor] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs, of any nesting; the floating tensors in them are variables."""
        if self.computed is not None:
            raise Opaque("calls the model more than once")
        leaves, tree = tree_flatten(self._compute[0](*args, **kwargs))
        self.computed = [leaf for leaf in leaves if floating(leaf)]
        leaves = [leaf.detach().requires_grad_() if floating(leaf) else leaf for leaf in leaves]
        self.variables = [leaf for leaf in leaves if floating(leaf)]
        return tree_unflatten([leaf.clone() if floating(leaf) else leaf for leaf in leaves], tree)

    def named_parameters(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused, as everything else that a loss may want of a model."""
        raise Opaque("looks at the model's parameters")

    def named_modules(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused."""
        raise Opaque("looks at the model's modules")

    named_children = named_buffers = state_dict = named_modules

    def __getattr__(self, name: str) -> NoReturn:
        raise Opaque(f"uses the model's .{name}")


@dataclass(frozen=True)
class AtOutputs:
    """L at the outputs of one batch.

    Attributes:
        examples: in the batch.
        computed: the floating tensors of the model's outputs, as they were computed.
        variables: z, the same numbers.
        slopes: dL/dz, with the graph that H_L needs.

    """

    examples: int
    computed: list[Tensor]
    variables: list[Tensor]
    slopes: tuple[Tensor, ...]

    def curve(self, directions: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """H_L u for u given as a tensor for each variable."""
        return pull_back(self.slopes, self.variables, directions, retain_graph=True)


@torch.enable_grad()
def at_outputs(objective: Objective, compute: Callable[..., Any], batch: Any) -> AtOutputs:
    """Score a batch with the outputs that `compute` gives for the model's arguments.

    Raises:
        Opaque: the loss does more with the model than call it once.

    """
    model = StandIn(compute)
    found = objective.score(model, batch)
    if model.computed is None:
        raise Opaque("does not call the model that it is given")
    check_depends(found.total)
    slopes = torch.autograd.grad(
        found.total, model.variables, create_graph=True, allow_unused=True, materialize_grads=True
    )
    check_differentiable_again(slopes)
    return AtOutputs(found.examples, model.computed, model.variables, slopes)


def pull_back(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    along: Sequence[Tensor],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of sum_i outputs_i . along_i in the inputs; 0 where there is no dependence."""
    pairs = [(y, u) for y, u in zip(outputs, along, strict=True) if y.requires_grad]
    if not pairs:
        return tuple(torch.zeros_like(x) for x in inputs)
    moving, directions = zip(*pairs, strict=True)
    pulled = torch.autograd.grad(
        moving,
        inputs,
        directions,
        retain_graph=retain_graph or create_graph,
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    if create_graph:
        check_differentiable_again(pulled)
    return pulled


def check_differentiable_again(slopes: Iterable[Tensor]) -> None:
    """Raise where the graph of a gradient goes through an operator marked `once_differentiable`.

    PyTorch cuts the graph there. Asked for a derivative in particular inputs, it would find no way to them and, where
    unused inputs are allowed, give 0.

    Raises:
        NotImplementedError: it does.

    """
    todo = [slope.grad_fn for slope in slopes if slope.grad_fn is not None]
    seen = set(todo)
    while todo:
        node = todo.pop()
        if node.name() == "torch::autograd::Error":
            raise NotImplementedError("an operator's backward pass is marked once_differentiable")
        following = {function for function, _ in node.next_functions if function is not None} - seen
        seen |= following
        todo += following


def floating(leaf: Any) -> bool:
    """Whether this is a tensor that can be differentiated."""
    return isinstance(leaf, Tensor) and leaf.is_floating_point()
