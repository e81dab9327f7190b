"""The box l <= x <= u that the minimiser stays in.

A bound that is the same for every variable stays a number: a vector of length n costs memory and time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sharpmin.errors import UsageError

Bound = Tensor | float | None


@dataclass(frozen=True)
class Box:
    """Lower and upper bounds: both numbers or both vectors of length n; infinite where there is none."""

    lower: Tensor | float
    upper: Tensor | float

    @classmethod
    def of(cls, x: Tensor, lower: Bound, upper: Bound) -> "Box":
        """Return the box for vectors like `x`; raise UsageError where the bounds make no sense."""
        low, high = _bound(x, lower, -torch.inf, "lower"), _bound(x, upper, torch.inf, "upper")
        wrong = int((low > high).sum())
        if wrong:
            raise UsageError(f"{wrong} lower bound(s) exceed their upper bound; swap them or widen the box.")
        if low.ndim or high.ndim:
            return cls(*torch.broadcast_tensors(low, high))
        return cls(float(low), float(high))

    @property
    def bounded(self) -> bool:
        """Whether any variable has a bound."""
        return any(bool(torch.as_tensor(b).isfinite().any()) for b in (self.lower, self.upper))

    @property
    def boxed(self) -> bool:
        """Whether every variable has both bounds."""
        return all(bool(torch.as_tensor(b).isfinite().all()) for b in (self.lower, self.upper))

    def __getitem__(self, block: slice) -> "Box":
        """Return the bounds of one block of variables."""
        if isinstance(self.lower, Tensor) and isinstance(self.upper, Tensor):
            return Box(self.lower[block], self.upper[block])
        return self

    def project_(self, x: Tensor) -> Tensor:
        """Overwrite x by P(x, l, u), the point of the box nearest to it."""
        if isinstance(self.lower, Tensor) and isinstance(self.upper, Tensor):
            return x.clamp_(self.lower, self.upper)
        return x.clamp_(float(self.lower), float(self.upper))

    def steps_to_bound(self, x: Tensor, g: Tensor, out: Tensor | None = None) -> Tensor:
        """Return, per variable, the t >= 0 at which x - t g meets a bound: t of (4.1).

        Of (x - l) / g and (x - u) / g one is a step ahead, the other a step back. Where g = 0 the larger is
        infinite, as it should be, or NaN for a variable at a bound, which the answer 0 leaves there.
        """
        low, high = torch.sub(x, self.lower).div_(g), torch.sub(x, self.upper, out=out).div_(g)
        return torch.maximum(low, high, out=high).nan_to_num_(nan=0.0, posinf=torch.inf)


def _bound(x: Tensor, value: Bound, missing: float, name: str) -> Tensor:
    """Return a bound as a tensor of x's dtype and device, of no dimension or of x's shape."""
    bound = torch.as_tensor(missing if value is None else value, dtype=x.dtype, device=x.device).detach()
    if bound.ndim and bound.shape != x.shape:
        raise UsageError(
            f"The {name} bound has shape {tuple(bound.shape)}, x0 {tuple(x.shape)}; give one number or one each."
        )
    if bound.isnan().any():
        raise UsageError(f"The {name} bound holds NaN; use None or an infinite value for 'no bound'.")
    return bound
