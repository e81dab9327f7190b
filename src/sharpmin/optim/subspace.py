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

from sharpmin.optim.blocks import blocks, combine, dot, indices
from sharpmin.optim.box import Box
from sharpmin.optim.cauchy import Piece
from sharpmin.optim.compact import CompactMatrix, write_symmetric


class FreeSet:
    """Which variables are free (1, else 0), and the Gram matrix of the stored vectors over these only.

    From one iteration to the next few variables enter or leave; only their columns are added or subtracted.
    """

    def __init__(self, like: Tensor, memory: int) -> None:
        self.mask = torch.ones_like(like)
        self.gram = torch.zeros((2 * memory, 2 * memory), dtype=torch.float64)

    def record(self, slot: int, products: Tensor) -> None:
        """Take in the inner products over the free variables (2 x 2m) of a slot's y and s with all used rows."""
        write_symmetric(self.gram, slot, products)

    def update(self, t: Tensor, fixed: float, B: CompactMatrix) -> None:
        """Free the variables whose breakpoint lies beyond `fixed`, and no others."""
        used = len(B.used)
        change = torch.zeros((used, used), dtype=torch.float64, device=t.device)
        for block in blocks(t):
            mask = self.mask[block]
            before, now = mask.clone(), torch.gt(t[block], fixed, out=mask)
            moved = torch.sub(now, before, out=before)
            index = indices(moved != 0)
            if used and len(index):
                columns = B.used[:, block].index_select(1, index).to(torch.float64)
                change += (columns * moved[index]) @ columns.T
        self.gram[:used, :used] += change.cpu()


@dataclass(frozen=True)
class Step:
    """x' - x = W q - a g on the free variables: the Cauchy point (no q, a = t) or the subspace minimiser.

    `factors` is q as the factors of the stored vectors.
    """

    a: float
    factors: Tensor | None = None


def subspace_step(B: CompactMatrix, cauchy: Piece, free: FreeSet) -> Step:
    """Return the step from x to the minimiser of the model over the free variables."""
    theta = B.theta
    Mc = B.middle @ cauchy.c
    gram = B.in_order(B.in_order(free.gram).T)
    v = B.solve_reduced(free.gram, (1.0 - theta * cauchy.t) * cauchy.p + gram @ Mc)
    return Step(1.0 / theta, B.factors(Mc / theta + v / theta**2))


@dataclass(frozen=True)
class Aim:
    """Writes the point z that the line search aims at into a vector of its own."""

    x: Tensor
    g: Tensor
    z: Tensor
    free: Tensor
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
            pushed = (1.0 - self.free[block]).mul_(g)
            self._write(step, block, out=z).sub_(pushed, alpha=torch.finfo(x.dtype).max).add_(x)
            slope += dot(g, self.box[block].project_(z) - x)
        return float(slope)

    def truncate(self, cauchy: Step, newton: Step) -> float:
        """Go from x^c towards the minimiser only as far as the first bound met; return g^T (z - x).

        This is the rule of the 1995 paper (5.8), the way out where projecting gives no descent direction.
        """
        alpha = min(1.0, min(float(self._leg(block, cauchy, newton)[2].amin()) for block in blocks(self.x)))
        slope = torch.zeros((), dtype=torch.float64, device=self.x.device)
        for block in blocks(self.x):
            start, d, limit = self._leg(block, cauchy, newton)
            z, box = self.z[block], self.box[block]
            bound = box.project_(d * torch.finfo(d.dtype).max)
            end = torch.where(limit <= alpha, bound, box.project_(start.add_(d, alpha=alpha)))
            torch.where(self.free[block] > 0, end, z, out=z)
            slope += dot(self.g[block], z - self.x[block])
        return float(slope)

    def _leg(self, block: slice, cauchy: Step, newton: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Return x^c, the way d from there to the minimiser, and the a at which x^c + a d leaves the box."""
        start = self._write(cauchy, block, out=torch.empty_like(self.x[block]))
        d = self._write(newton, block, out=torch.empty_like(start)).sub_(start)
        start.add_(self.x[block])
        return start, d, self.box[block].steps_to_bound(start, -d).masked_fill_(d == 0, torch.inf)

    def _write(self, step: Step, block: slice, out: Tensor) -> Tensor:
        """Write one block of the step on the free variables, 0 elsewhere, before any projection."""
        if step.factors is None:
            torch.mul(self.g[block], -step.a, out=out)
        else:
            combine(step.factors, self.B.used[:, block], out=out).sub_(self.g[block], alpha=step.a)
        return out.mul_(self.free[block])
