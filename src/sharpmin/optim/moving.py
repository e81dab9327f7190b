"""The variables that move along -g, and the one pass over the stored vectors that takes inner products.

V is the set of the variables with a breakpoint t_i > 0, those not held by the bound that -g points to. From one iterate
to the next a few variables C enter V (sign +) or leave it (-). With w the entries of a variable in the stored vectors,
r any of these, and y = g' - g, s = x' - x a new pair, the sums over the new V are

    sum w w^T  =  (over the old V) + sum_C +- w w^T
    r^T s      =  (over all variables) + sum_C +- w s                   as s = 0 outside the old V
    r^T y      =  r^T g' - (r^T g over the old V) - sum_C +- w g

So a new pair takes two inner products with each stored vector: with s, and with g' over V, which is also the p = W^T d
that the search for the Cauchy point starts from. All else takes the few columns of C.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sharpmin.optim.blocks import BLOCK, FEW, blocks, columns, indices, products, square
from sharpmin.optim.box import Box
from sharpmin.optim.cauchy import Piece
from sharpmin.optim.compact import CompactMatrix, write_symmetric


@dataclass
class Point:
    """A point with its value, gradient and projected gradient norm; its vectors are reused."""

    x: Tensor
    g: Tensor
    f: float = torch.inf
    pg: float = torch.nan


class Sums:
    """What one pass adds up, in float64 where the vectors are.

    Attributes:
        inner: products with the used rows, of g' over V and of s over all variables.
        gg, yy: |g'|^2 over V, |y|^2 over all variables.
        yy_V: |y|^2 over V.
        change: over C with signs, w w^T, w g and w s side by side.
    """

    def __init__(self, used: int, device: torch.device) -> None:
        shapes: tuple[tuple[int, ...], ...] = ((2, used), (used, used + 2), (), (), ())
        zeros = (torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes)
        self.inner, self.change, self.gg, self.yy, self.yy_V = zeros


class MovingSet:
    """V, the Gram matrix of the rows of `B.vectors` over V, and their products with g over V."""

    def __init__(self, B: CompactMatrix, box: Box) -> None:
        self.B, self.box = B, box
        self.mask = torch.ones_like(B.vectors[0], dtype=torch.bool)
        self.gram, self.with_g = torch.zeros_like(B.gram), torch.zeros_like(B.gram[0])

    def set_out(self, now: Point, old: Point, t: Tensor, *, pair: bool) -> Piece:
        """Write the breakpoints to t and return the start of the path; with `pair`, add that of the step to B.

        t may be the old x: in each block s is taken first.
        """
        slot = self.B.open_slot() if pair else None
        used = self.B.used
        sums = Sums(len(used), t.device)
        rows = t.new_zeros((3, min(BLOCK, len(t))))
        for block in blocks(t):
            d, step, moves = rows[:, : block.stop - block.start]
            if slot is not None:
                y = torch.sub(now.g[block], old.g[block], out=used[2 * slot, block])
                step.copy_(torch.sub(now.x[block], old.x[block], out=used[2 * slot + 1, block]))
                sums.yy += square(y)
            torch.sign(self.box[block].steps_to_bound(now.x[block], now.g[block], out=t[block]), out=moves)
            sums.gg += square(torch.mul(moves, now.g[block], out=d))
            if slot is not None:
                sums.yy_V += square(moves.mul_(y))
            self._exchange(block, t, old.g, step, sums.change)
            if len(used):
                sums.inner += products(rows[:2, : len(d)], used[:, block])
        return self._take_in(slot, sums)

    def _exchange(self, block: slice, t: Tensor, g: Tensor, step: Tensor, change: Tensor) -> None:
        """Bring the mask up to date in one block, and add what the variables in C contribute."""
        moves = t[block].to(torch.bool)
        index = indices(moves != self.mask[block])
        self.mask[block] = moves
        for part in index.split(FEW) if len(change) and len(index) else ():
            sign = moves[part].to(torch.float64).mul_(2.0).sub_(1.0)
            w = columns(self.B.used[:, block], part)
            change += (w * sign) @ torch.cat([w, g[block][part][None], step[part][None]]).T

    def _take_in(self, slot: int | None, sums: Sums) -> Piece:
        """Bring everything up to date after the pass."""
        inner, change = sums.inner.cpu(), sums.change.cpu()
        used = len(change)
        self.gram[:used, :used] += change[:, :used]
        if slot is not None:
            y, s = 2 * slot, 2 * slot + 1
            over_V = torch.stack([inner[0] - self.with_g[:used] - change[:, used], inner[1] + change[:, used + 1]])
            over_V[0, y], over_V[0, s] = sums.yy_V, over_V[1, y]
            write_symmetric(self.gram, slice(y, s + 1), over_V)
            self.B.record(slot, inner[1], float(sums.yy))
        self.with_g[:used] = inner[0]
        return Piece.start(float(sums.gg), self.B.in_order(-inner[0]))
