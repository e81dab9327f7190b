"""BatchNorm with the statistics of the whole batch, differentiated by hand, where the batch comes in blocks.

With n values a channel

    y = gamma r (z - m) + beta,    m = sum z / n,    r = (sum (z - m)^2 / n + eps)^(-1/2),
    dz = gamma r dy + f z + e,     f = -gamma r^2 s1 / n,    e = -gamma r s0 / n - f m,

s0 = sum dy = d_beta and s1 = sum r (z - m) dy = d_gamma. R{} of these (see `sharpmin.products.steps`) follows by the
product rule from sums over the blocks: of R{z}, (z - m) R{z}, R{dy}, r (z - m) R{dy} and dy R{z}.
"""

import torch
from torch import Tensor

from sharpmin.blocked import BatchNorm
from sharpmin.moments import Moments, merge
from sharpmin.products.steps import Named, Sums, add


class Norm:
    """One BatchNorm: what all the blocks share. Channel vectors are in float64."""

    def __init__(self, layer: BatchNorm, names: tuple[str, str], weights: Named) -> None:
        self.names, self.eps = names, layer.eps
        self.gamma, self.beta = (weights[name].double() for name in names)
        self.zero = torch.zeros_like(self.gamma)
        self.parts: list[tuple[int, int, Tensor, Tensor]] = []
        self.s0 = self.s1 = self.e = self.f = self.zero

    def settle(self) -> None:
        """After the forward pass of every block: m, r and gamma r."""
        mean, var = merge(self.parts)
        self.n = sum(examples * positions for examples, positions, _, _ in self.parts)
        self.m, self.r = mean.double(), (var.double() + self.eps).rsqrt()
        self.scale = self.gamma * self.r

    def settle_backward(self) -> None:
        """After the backward pass: e and f."""
        self.f = -self.scale * self.r * self.s1 / self.n
        self.e = -self.scale * self.s0 / self.n - self.f * self.m

    def begin(self) -> None:
        """Before a product: empty sums."""
        self.sum_z = self.sum_zz = self.s0_dot = self.s1_dot = self.zero

    def settle_push(self, v: Named) -> None:
        """After the forward sweep: R{m}, R{r} and R{gamma r}."""
        self.gamma_dot, self.beta_dot = (v[name].double() if name in v else self.zero for name in self.names)
        self.m_dot = self.sum_z / self.n
        self.r_dot = -(self.r**3) * self.sum_zz / self.n
        self.scale_dot = self.gamma_dot * self.r + self.gamma * self.r_dot

    def settle_pull(self, v: Named, sums: Sums) -> None:
        """After the backward sweep: R{e} and R{f}; the rows of gamma and beta."""
        s1_dot = self.s1_dot - self.r * self.m_dot * self.s0 + self.r_dot / self.r * self.s1
        scale_r_dot = self.scale_dot * self.r + self.scale * self.r_dot
        self.f_dot = -(scale_r_dot * self.s1 + self.scale * self.r * s1_dot) / self.n
        mean_dot = (self.scale_dot * self.s0 + self.scale * self.s0_dot) / self.n
        self.e_dot = -mean_dot - self.f_dot * self.m - self.f * self.m_dot
        for name, row in zip(self.names, (s1_dot, self.s0_dot), strict=True):
            if name in v:
                add(sums, name, row)


class Measured:
    """The end of a segment: y = z, and the moments of z are taken."""

    def __init__(self, norm: Norm) -> None:
        self.norm = norm

    def forward(self, z: Tensor) -> Tensor:
        """The input z, measured."""
        self.z = z
        self.norm.parts.append((len(z), z[0, 0].numel(), *Moments.apply(z)))
        return z

    def backward(self, dy: Tensor) -> Tensor:
        """The adjoint dy, which has gamma r from `Normalised`, and f z + e."""
        return affine(self.z, self.norm.f, self.norm.e).add_(dy)

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """R{z}."""
        self.z_dot, norm = x_dot, self.norm
        if x_dot is not None:
            sum_z, sum_zz = sums_with(x_dot, self.z, norm.m)
            norm.sum_z, norm.sum_zz = norm.sum_z + sum_z, norm.sum_zz + sum_zz
        return x_dot

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor:
        """R{dy} + R{f} z + f R{z} + R{e}."""
        z_dot, self.z_dot = self.z_dot, None
        dz_dot = affine(self.z, self.norm.f_dot, self.norm.e_dot).add_(dy_dot)
        return dz_dot if z_dot is None else dz_dot.addcmul_(z_dot, per_channel(self.norm.f, z_dot))


class Normalised:
    """The beginning of a segment: y = gamma r (z - m) + beta with m and r given."""

    def __init__(self, norm: Norm) -> None:
        self.norm = norm
        self.dy: Tensor | None = None

    def forward(self, z: Tensor) -> Tensor:
        """The output y."""
        self.z, norm = z, self.norm
        return affine(z, norm.scale, norm.beta - norm.scale * norm.m)

    def backward(self, dy: Tensor) -> Tensor:
        """The adjoint gamma r dy."""
        self.dy, norm = dy, self.norm
        s0, s1 = sums_with(dy, self.z, norm.m)
        norm.s0, norm.s1 = norm.s0 + s0, norm.s1 + norm.r * s1
        return dy * per_channel(norm.scale, dy)

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """R{y} = gamma r (R{z} - R{m}) + R{gamma r} (z - m) + R{beta}."""
        self.z_dot, norm = x_dot, self.norm
        if x_dot is None and not any(name in v for name in norm.names):
            return None
        shift = norm.beta_dot - norm.scale_dot * norm.m - norm.scale * norm.m_dot
        y_dot = affine(self.z, norm.scale_dot, shift)
        return y_dot if x_dot is None else y_dot.addcmul_(x_dot, per_channel(norm.scale, x_dot))

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor:
        """R{gamma r dy} = gamma r R{dy} + R{gamma r} dy."""
        norm = self.norm
        z_dot, self.z_dot = self.z_dot, None
        s0_dot, s1_dot = sums_with(dy_dot, self.z, norm.m)
        if self.dy is not None and z_dot is not None:
            s1_dot = s1_dot + sums_with(self.dy, z_dot, norm.zero)[1]
        norm.s0_dot, norm.s1_dot = norm.s0_dot + s0_dot, norm.s1_dot + norm.r * s1_dot
        dz_dot = dy_dot * per_channel(norm.scale, dy_dot)
        return dz_dot if self.dy is None else dz_dot.addcmul_(self.dy, per_channel(norm.scale_dot, self.dy))


def affine(z: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """The map scale z + shift, with a scale and a shift for each channel, in one pass over z."""
    zeros, ones = z.new_zeros(len(scale)), z.new_ones(len(scale))
    # not F.batch_norm, which in PyTorch 2.11 refuses an epsilon of zero
    return torch.batch_norm(z, scale.to(z.dtype), shift.to(z.dtype), zeros, ones, False, 0.0, 0.0, False)


def sums_with(g: Tensor, z: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """Sum g and g (z - m) over each channel, in one pass over both; float64 [C]."""
    backward, ones = torch.ops.aten.native_batch_norm_backward, z.new_ones(len(m))
    wanted = [False, True, True]
    _, sum_gz, sum_g = backward(g, z, ones, m.to(z.dtype), ones, None, None, False, 0.0, wanted)
    return sum_g.double(), sum_gz.double()


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """[C] as [1, C, 1, ...], in the dtype of `like`."""
    return values.to(like.dtype).view(1, -1, *[1] * (like.dim() - 2))
