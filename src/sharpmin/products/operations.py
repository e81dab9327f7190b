"""Operations of PyTorch whose fused form has no second derivative, or a wrong one: their plain form instead.

attention         the fused kernels cannot be differentiated twice.
weight_norm       `torch._weight_norm` has no forward derivative, and what double-backward makes of it is not symmetric
                  (PyTorch 2.13): g v / |v| is written out.
hardsigmoid       its backward pass has no derivative: min(max(x + 3, 0), 6) / 6 is written out.
torch.compile     what it makes of a module or a loss can be differentiated once: the module's own code is run.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Around a forward pass and whatever differentiates it.

    Example:
        >>> v, g = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.ones(2, 1)
        >>> with twice_differentiable():
        ...     torch._weight_norm(v, g)
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])

    """
    with sdpa_kernel(SDPBackend.MATH), WrittenOut(), uncompiled():
        yield


def uncompiled() -> AbstractContextManager[object]:
    """Run the code itself where torch.compile would run what it made of it."""
    compiles = "torch._dynamo" in sys.modules  # which takes a second to import, and without which nothing is compiled
    return torch.compiler.set_stance("force_eager") if compiles else nullcontext()


class WrittenOut(TorchFunctionMode):
    """Weight normalisation and hardsigmoid in operations that have all derivatives."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or what stands for it."""
        return PLAIN.get(func, func)(*args, **(kwargs or {}))


def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Give g v / |v| with the norm over every axis but `dim`; over all of them where it is -1.

    Source: Salimans and Kingma 2016, equation 2.

    """
    over = [axis for axis in range(v.dim()) if dim == -1 or axis != dim % v.dim()]
    return v * (g / v.square().sum(over, keepdim=True).sqrt())


def hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    """Give min(max(x + 3, 0), 6) / 6."""
    y = (x + 3).clamp(0, 6) / 6
    return x.copy_(y) if inplace else y


PLAIN: Mapping[Any, Callable[..., Tensor]] = {torch._weight_norm: weight_norm, F.hardsigmoid: hardsigmoid}


def scripted(model: nn.Module) -> bool:
    """Whether a part of it is TorchScript: once that is optimised, dual numbers lose their derivatives in it."""
    return any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())
