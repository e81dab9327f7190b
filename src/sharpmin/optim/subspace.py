"""Minimising the model over the variables that are free at the Cauchy point, inside the box.

Section 5.1 of Byrd, Lu, Nocedal and Zhu (1995), the direct primal method, with the projection of Morales
and Nocedal (2011). F is the set of free variables, W_F the rows of W that belong to them, x^c the Cauchy
point at t.

    r_F = -(1 - theta t) g_F + W_F M c                              minus the reduced gradient (5.4) at x^c
    d_F = r_F / theta + W_F K^-1 W_F^T r_F / theta^2                the unconstrained minimiser, from x^c (5.11)
    K   = M^-1 - W_F^T W_F / theta

On F the path has gone x^c - x = -t g, and W_F^T g_F = -p there. So with the Gram matrix W_F^T W_F at hand no
pass over W is needed to form the right-hand side, and the whole step from x is one combination of its
columns:

    x^c + d - x = -g_F / theta + W_F q,    q = M c / theta + K^-1 ((1 - theta t) p + W_F^T W_F M c) / theta^2
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sharpmin.optim.blocks import blocks, combine, dot
from sharpmin.optim.box import Box
from sharpmin.optim.cauchy import Piece
from sharpmin.optim.compact import CompactMatrix


@dataclass(frozen=True)
class Step:
    """x' - x = W q - a g on the free variables: the Cauchy point (no q, a = t) or the subspace minimiser.

    `factors` is q as the factors of the stored vectors.
    """

    a: float
    factors: Tensor | None = None


def subspace_step(B: CompactMatrix, cauchy: Piece, gram: Tensor) -> Step:
    """Return the step from x to the minimiser of the model over the free variables.

    `gram` is that of the stored vectors over the variables that moved when the path set out.
    """
    theta = B.theta
    Mc = B.middle @ cauchy.c
    free = B.gram_in_order(gram) - cauchy.passed
    v = B.solve_reduced(free, (1.0 - theta * cauchy.t) * cauchy.p + free @ Mc)
    return Step(1.0 / theta, B.factors(Mc / theta + v / theta**2))


@dataclass(frozen=True)
class Aim:
    """Replaces the breakpoints in z by the point that the line search aims at.

    The variables with breakpoints up to `fixed` are at the bounds that they have met; the others are free.
    """

    x: Tensor
    g: Tensor
    z: Tensor
    fixed: float
    box: Box
    B: CompactMatrix

    def project(self, step: Step) -> float:
        """Set z to P(x + step) on the free variables and to the bounds met elsewhere; return g^T (z - x).

        A variable that is not free goes as far along -g as numbers go, and projecting brings it back: to its
        bound exactly, or nowhere if g = 0.
        """
        slope = torch.zeros((), dtype=torch.float64, device=self.x.device)
        for block in blocks(self.x):
            x, g, z = self.x[block], self.g[block], self.z[block]
            held = torch.le(z, self.fixed, out=torch.empty_like(z))
            self._write(step, block, held, out=z).addcmul_(held, g, value=-torch.finfo(x.dtype).max).add_(x)
            slope += dot(g, self.box[block].project_(z) - x)
        return float(slope)

    def truncate(self, cauchy: Step, newton: Step) -> float:
        """Go from x^c towards the minimiser only as far as the first bound met; return g^T (z - x).

        This is the rule of the 1995 paper (5.8), the way out where projecting gives no descent direction; z holds
        the projected point.
        """
        alpha = min(1.0, min(float(self._leg(block, cauchy, newton)[2].amin()) for block in blocks(self.x)))
        slope = torch.zeros((), dtype=torch.float64, device=self.x.device)
        for block in blocks(self.x):
            start, d, limit = self._leg(block, cauchy, newton)
            z, box = self.z[block], self.box[block]
            bound = box.project_(d * torch.finfo(d.dtype).max)
            end = torch.where(limit <= alpha, bound, box.project_(start.add_(d, alpha=alpha)))
            torch.where(self._held(block) > 0, z, end, out=z)
            slope += dot(self.g[block], z - self.x[block])
        return float(slope)

    def _leg(self, block: slice, cauchy: Step, newton: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Return x^c, the way d from there to the minimiser, and the a at which x^c + a d leaves the box."""
        held = self._held(block)
        start = self._write(cauchy, block, held, out=torch.empty_like(held))
        d = self._write(newton, block, held, out=torch.empty_like(held)).sub_(start)
        start.add_(self.x[block])
        return start, d, self.box[block].steps_to_bound(start, -d).masked_fill_(d == 0, torch.inf)

    def _held(self, block: slice) -> Tensor:
        """Return 1 where a variable is not free and 0 where it is, without the breakpoints in z."""
        t = self.box[block].steps_to_bound(self.x[block], self.g[block])
        return torch.le(t, self.fixed, out=t)

    def _write(self, step: Step, block: slice, held: Tensor, out: Tensor) -> Tensor:
        """Write one block of the step on the free variables, 0 elsewhere, before any projection."""
        if step.factors is None:
            torch.mul(self.g[block], -step.a, out=out)
        else:
            combine(step.factors, self.B.used[:, block], out=out).sub_(self.g[block], alpha=step.a)
        return out.addcmul_(out, held, value=-1.0)
