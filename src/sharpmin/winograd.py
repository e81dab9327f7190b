"""A convolution with fewer multiplications: four by four outputs at a time (Winograd 1980).

A row of m outputs of a convolution with r taps is a product of polynomials read backwards, and a polynomial is known by
its values at n = m + r - 1 points, infinity being one of them (Toom and Cook):

    y = A^T [(G w) * (B^T x)],    V_ij = p_i^j,  f_i = prod_{j != i} (p_i - p_j),
    A^T = (V's first m columns)^T,    G = V's first r columns / f,    B^T = f V^{-T},

n multiplications for m r. In two dimensions each of the three is applied along both axes, and the multiplications at
one of the n^2 points are, over all tiles, a matrix product of channels (Lavin and Gray 2016). With m = 4 that is 64 of
them for 400 at r = 5 and 36 for 144 at r = 3; the transforms come on top.

The result is exact but for rounding, which is several times that of a direct convolution. f comes out as near to
float64 as with one, and its gradient jumps at the kinks of ReLUs and max-pools with either (benchmarks/winograd.py
measures both, and the gain). Where nobody has measured that it gains it is not used.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

OUTPUTS = 4  # m, along each axis
POINTS = (0, 1, -1, 1 / 2, -2, 2, -1 / 2)  # and infinity; with 3 taps the first five, which round least of those tried
TILES = 256  # at a time: what is made of them stays in the cache
CHANNELS = 64  # with as many in and out it was measured to gain
KEPT = 5  # with fewer taps B^T x is cheap enough to be computed again for the backward pass


class Transforms(NamedTuple):
    """The three matrices along both axes: A^T [m^2, n^2], G [n^2, r^2] and B^T [n^2, n^2]."""

    outputs: Tensor
    taps: Tensor
    inputs: Tensor


@lru_cache
def transforms(taps: int, dtype: torch.dtype) -> Transforms:
    """Those of a convolution with so many taps along each axis.

    Example:
        >>> [list(matrix.shape) for matrix in transforms(5, torch.float32)]
        [[16, 64], [64, 25], [64, 64]]

    """
    points = np.array(POINTS[: OUTPUTS + taps - 2])
    n = len(points) + 1
    values = np.vander(points, n, increasing=True)
    values = np.vstack([values, np.eye(n)[-1]])  # at infinity a polynomial is its last coefficient
    apart = points[:, None] - points + np.eye(n - 1)
    f = np.append(apart.prod(axis=1), 1.0)[:, None]
    at_infinity = np.eye(n)[-1]
    a = np.vstack([values[:-1, :OUTPUTS], at_infinity[-OUTPUTS:]])
    g = np.vstack([values[:-1, :taps], at_infinity[-taps:]]) / f
    b = f * np.linalg.inv(values).T
    return Transforms(*(torch.from_numpy(np.kron(one, one)).to(dtype) for one in (a.T, g, b)))


class Winograd(torch.autograd.Function):
    """The convolution of x [B, C, H, W] with w [K, C, r, r], r odd, at stride 1 and 'same' padding, and a bias [K].

    H and W are multiples of m.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
        """The outputs [B, K, H, W], channels last."""
        along, cut = transforms(w.shape[-1], x.dtype), Cut(*x.shape[2:], taps=w.shape[-1])
        u, y, vs = taps_at_points(along, w), x.new_empty(len(x), cut.height, cut.width, len(w)), []
        for part, some in zip(x.split(cut.few), y.split(cut.few), strict=True):
            v = transformed(along.inputs, cut.patches(part))
            tiles = transformed(along.outputs, at_points(v, u))
            if any(ctx.needs_input_grad) and cut.taps >= KEPT:  # type: ignore[attr-defined]
                vs.append(v)
            there = cut.in_tiles(some)
            there.copy_((tiles if bias is None else tiles.add_(bias)).view(there.shape))
        ctx.cut = cut  # type: ignore[attr-defined]
        ctx.save_for_backward(w, None if vs else x, *vs)  # type: ignore[arg-type]
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        """Each step transposed, the last first."""
        (w, x, *vs), cut = ctx.saved_tensors, ctx.cut
        along, (outputs, channels, taps, _) = transforms(cut.taps, dy.dtype), w.shape
        ut = taps_at_points(along, w).transpose(1, 2)
        du, d_bias = dy.new_zeros(len(ut), channels, outputs), dy.new_zeros(outputs)
        dx = dy.new_empty(len(dy), cut.height, cut.width, channels) if ctx.needs_input_grad[0] else None
        parts = vs or (transformed(along.inputs, cut.patches(part)) for part in x.split(cut.few))
        for i, (v, some) in enumerate(zip(parts, dy.split(cut.few), strict=True)):
            d_tiles = cut.tiles(some)
            d_bias += d_tiles.sum((0, 1))
            d_products = transformed(along.outputs.T, d_tiles)
            du.baddbmm_(v.permute(1, 2, 0), d_products.transpose(0, 1))
            if dx is not None:
                cut.put_patches(transformed(along.inputs.T, at_points(d_products, ut)), dx[i * cut.few :][: len(some)])
        dw = (along.taps.T @ du.flatten(1)).view(taps, taps, channels, outputs).permute(3, 2, 0, 1)
        return None if dx is None else dx.permute(0, 3, 1, 2), dw, d_bias if ctx.needs_input_grad[2] else None


def taps_at_points(along: Transforms, w: Tensor) -> Tensor:
    """G w G^T, [n^2, C, K]."""
    outputs, channels, taps, _ = w.shape
    return transformed(along.taps, w.permute(2, 3, 1, 0).reshape(1, taps * taps, -1)).view(-1, channels, outputs)


def transformed(matrix: Tensor, tiles: Tensor) -> Tensor:
    """The matrix times each tile, [P, rows, C]."""
    return torch.bmm(matrix.expand(len(tiles), -1, -1), tiles)


def at_points(v: Tensor, u: Tensor) -> Tensor:
    """At each of n^2 points the product of all tiles v [P, n^2, C] with u [n^2, C, K]: [P, n^2, K]."""
    return torch.bmm(v.transpose(0, 1), u).transpose(0, 1)


class Cut:
    """How images are cut into tiles of m x m outputs, and into the patches of n x n that those see, which overlap.

    Args:
        height: of the images, a multiple of m.
        width: of the images, likewise.
        taps: r.

    Attributes:
        few: images at a time.

    """

    def __init__(self, height: int, width: int, *, taps: int) -> None:
        self.height, self.width, self.taps = height, width, taps
        self.down, self.right = height // OUTPUTS, width // OUTPUTS
        self.few = max(1, TILES // (self.down * self.right))
        self.edge, self.n = taps // 2, OUTPUTS + taps - 1

    def patches(self, x: Tensor) -> Tensor:
        """The patches of the images x, [P, n^2, C]; beyond the edge there is 0."""
        batch, channels = x.shape[:2]
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *[self.edge] * 4)).contiguous()
        image, row, column, channel = padded.stride()
        strides = (image, OUTPUTS * row, OUTPUTS * column, row, column, channel)
        overlapping = padded.as_strided((batch, self.down, self.right, self.n, self.n, channels), strides)
        return overlapping.reshape(-1, self.n * self.n, channels)

    def put_patches(self, patches: Tensor, dx: Tensor) -> None:
        """The transpose of `patches`: fill dx [B, H, W, C], adding up what overlaps."""
        batch, channels = len(dx), dx.shape[3]
        parts = patches.view(batch, self.down, self.right, self.n, self.n, channels)
        padded = dx.new_zeros(batch, self.down + 1, OUTPUTS, self.right + 1, OUTPUTS, channels)
        for y, rows in ((0, slice(OUTPUTS)), (1, slice(OUTPUTS, self.n))):
            for x, columns in ((0, slice(OUTPUTS)), (1, slice(OUTPUTS, self.n))):
                part = parts[:, :, :, rows, columns].transpose(2, 3)
                padded[:, y:, : part.shape[2], x:, : part.shape[4]][:, : self.down, :, : self.right].add_(part)
        whole = padded.view(batch, self.height + OUTPUTS, self.width + OUTPUTS, channels)
        dx.copy_(whole[:, self.edge :, self.edge :][:, : self.height, : self.width])

    def tiles(self, y: Tensor) -> Tensor:
        """The tiles of the images y [B, K, H, W], [P, m^2, K]."""
        return self.in_tiles(y.permute(0, 2, 3, 1)).reshape(-1, OUTPUTS * OUTPUTS, y.shape[1])

    def in_tiles(self, y: Tensor) -> Tensor:
        """A view of the images y [B, H, W, K] as [B, down, right, m, m, K]."""
        return y.unflatten(2, (self.right, OUTPUTS)).unflatten(1, (self.down, OUTPUTS)).transpose(2, 3)


def gains(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether a convolution is faster so: 3x3 or 5x5 with many channels, on a processor that has AVX2 and no more.

    Example:
        >>> gains(nn.Conv2d(3, 64, 5, padding=2), torch.zeros(1, 3, 32, 32))  # few channels in
        False

    """
    known = (layer.kernel_size, layer.padding) in (((3, 3), (1, 1)), ((5, 5), (2, 2)))
    plain = (layer.stride, layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
    many = min(layer.in_channels, layer.out_channels) >= CHANNELS and not any(side % OUTPUTS for side in x.shape[2:])
    here = x.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    exact = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    return known and plain and many and here and exact
