"""TF32 and bfloat16 matrix products on a processor that has neither, by rounding what goes into float32 ones.

A matrix unit takes operands of few mantissa bits, multiplies them exactly and adds the products up in float32. A
product of two numbers of 11 significant bits or fewer is exact in float32, so a float32 product of rounded operands is
the same but for the order of the additions:

tf32        the float32 operands are rounded to 10 explicit mantissa bits; the result stays in float32.
bfloat16    the operands are bfloat16 already (autocast saw to that); the result is rounded to bfloat16.

Emulated means: the format, to nearest and ties to even. A GPU's library may round otherwise (some cut off), may add up
in another order, and may choose float32 where it likes.

The rounding sits below autograd, so the products of a backward pass and of a derivative along a direction are rounded
as well, whoever asks for them.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

TF32_BITS = 10  # explicit bits of the mantissa; float32 has 23
FLOAT32_BITS = 23
ADDED = {torch.ops.aten.addmm: 0, torch.ops.aten.baddbmm: 0, torch.ops.aten.convolution: 2}  # no operand of a product
BACKWARD = torch.ops.aten.convolution_backward


class MatrixUnit(TorchDispatchMode):
    """While entered, matrix products and convolutions are those of a matrix unit.

    Float64 is left alone. `products` counts the operations computed that way.

    Args:
        bits: explicit mantissa bits that operands in float32 are rounded to.

    """

    def __init__(self, bits: int = TF32_BITS) -> None:
        super().__init__()
        self.bits, self.products = bits, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Compute an operation; a product of matrices from rounded operands."""
        packet = func._overloadpacket
        if packet not in flop_registry:
            return func(*args, **(kwargs or {}))
        self.products += 1
        added = ADDED.get(packet)
        operands = [arg if place == added else self.operand(arg) for place, arg in enumerate(args)]
        narrow = any(isinstance(arg, Tensor) and arg.dtype == torch.bfloat16 for arg in args)
        if added is not None and isinstance(operands[added], Tensor) and narrow:
            operands[added] = operands[added].float()
        found = func(*operands, **(kwargs or {}))
        if packet is BACKWARD and found[2] is not None:  # a sum over the gradient as it came
            bias = args[0].sum((0, *range(2, args[0].dim())), dtype=found[2].dtype)
            found = (*found[:2], bias)
        return tuple(map(narrowed, found)) if narrow and isinstance(found, tuple) else narrowed(found, narrow)

    def operand(self, arg: Any) -> Any:
        """A tensor as an operand: rounded where it is float32, widened where it is bfloat16."""
        if not isinstance(arg, Tensor):
            return arg
        if arg.dtype == torch.bfloat16:
            return arg.float()
        return rounded(arg, self.bits) if arg.dtype == torch.float32 else arg


def narrowed(found: Any, narrow: bool = True) -> Any:
    """A result in bfloat16, where it is to be."""
    return found.bfloat16() if narrow and isinstance(found, Tensor) else found


def rounded(x: Tensor, bits: int) -> Tensor:
    """Each float32 number at the nearest one with so many explicit mantissa bits; of two as near, the even one.

    Infinities and NaNs stay what they are. Adding to the number's bits as an integer carries over into the exponent,
    as rounding up should.

    Example:
        >>> rounded(torch.tensor([1 + 2**-11, 1 + 3 * 2**-11]), 10) - 1  # ties: to 0 and to 2 of the last places
        tensor([0.0000, 0.0020])

    """
    dropped = FLOAT32_BITS - bits
    integer = x.contiguous(memory_format=memory_format(x)).view(torch.int32)
    even = (integer >> dropped) & 1
    nearest = (integer + ((1 << (dropped - 1)) - 1) + even) & -(1 << dropped)
    return torch.where(x.isfinite(), nearest.view(torch.float32), x)


def memory_format(x: Tensor) -> torch.memory_format:
    """The layout that a copy of x should keep."""
    images = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if images else torch.contiguous_format
