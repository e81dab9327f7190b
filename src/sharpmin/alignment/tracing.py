"""A network as a list of operations: its forward pass, run once with symbols in the place of tensors (torch.fx)."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from sharpmin.batchnorm import evaluating
from sharpmin.errors import UsageError
from sharpmin.hooks import hooked
from sharpmin.randomness import RandomStream

ABOUT = frozenset(("size", "dim", "shape", "dtype", "device", "ndim"))


class Tracer(fx.Tracer):
    """A tracer that remembers the module in which it failed; buffers are symbols too, so none is written to."""

    proxy_buffer_attributes = True
    failed = ""

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Trace a submodule."""
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or self.path_of_module(m)
            raise


def trace(model: nn.Module) -> fx.Graph:
    """The operations of the forward pass in evaluation mode, optional arguments at their defaults."""
    given = inspect.signature(model.forward).parameters.values()
    defaults = {p.name: p.default for p in given if p.default is not p.empty}
    tracer = Tracer()
    try:
        with evaluating(model, "running"), RandomStream(torch.device("cpu")):
            return tracer.trace(model, concrete_args=defaults or None)
    except Exception as error:
        place = placed(tracer.failed, model.get_submodule(tracer.failed))
        raise UsageError(
            f"the model cannot be traced in {place}: {' '.join(str(error).split())}. Alignment needs a forward pass "
            "that does not depend on the data: no branches or loops on tensors"
        ) from error


def check_hooks(model: nn.Module) -> None:
    """Raise a UsageError where a hook may change what a module gives, or its weights, as pruning does."""
    for path, module in model.named_modules():
        if hooked(module):
            raise UsageError(
                f"{placed(path, module)} has hooks, which alignment cannot see into: remove them first "
                "(handle.remove(), torch.nn.utils.prune.remove(...))"
            )


def check_ties(model: nn.Module) -> None:
    """Raise a UsageError where one parameter has two names."""
    first: dict[nn.Parameter, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(parameter, name) != name:
            raise UsageError(
                f"{first[parameter]} and {name} are one tied parameter: alignment has no rule for weights used twice"
            )


def placed(path: str, module: nn.Module) -> str:
    """A module for an error message."""
    return f"module {path!r} ({type(module).__name__})" if path else f"the model itself ({type(module).__name__})"


def name_of(node: fx.Node) -> str:
    """The name of the function or method that a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    """An argument given by place or by name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def asks(node: fx.Node) -> bool:
    """Whether this is `x.size(...)`, `x.shape` and the like: about an activation, and without its channels."""
    return name_of(node) in ABOUT or (name_of(node) == "getattr" and node.args[1] in ABOUT)


def flattens(node: fx.Node) -> bool:
    """Whether this is `flatten(x, 1)`, or `view` or `reshape` that shows one row for each example."""
    name = name_of(node)
    if name == "flatten":
        return (argument(node, 1, "start_dim", 0), argument(node, 2, "end_dim", -1)) == (1, -1)
    shape = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], tuple | list) else node.args[1:]
    return name in ("view", "reshape") and len(shape) == 2 and counts_examples(shape[0])


def counts_examples(length: object) -> bool:
    """Whether this is the length of a first axis, `x.size(0)` or `x.shape[0]`; a number may be any."""
    if not isinstance(length, fx.Node) or name_of(length) not in ("size", "getitem") or length.args[1:] != (0,):
        return False
    asked = length if name_of(length) == "size" else length.args[0]
    return isinstance(asked, fx.Node) and asks(asked)
