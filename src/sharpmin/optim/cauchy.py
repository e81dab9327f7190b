"""The generalised Cauchy point: the first minimiser of the model along the projected gradient path.

Section 4 of Byrd, Lu, Nocedal and Zhu (1995). Along x(t) = P(x - t g, l, u) the variable i moves with d_i = -g_i
until it meets its bound at the breakpoint t_i (4.1). Between breakpoints the model
m(x) = f + g^T (x - x_k) + (x - x_k)^T B (x - x_k) / 2 is a parabola in t, with derivatives

    f'  = -d^T d + theta t d^T d - p^T M c       (4.4, with z = t d on the variables that still move)
    f'' = theta d^T d - p^T M p                  (4.5)
    p = W^T d,   c = W^T z,   z = x(t) - x_k

so the minimiser of the current piece is t - f'/f''. If a breakpoint comes first, its variable leaves d, and
p, c and d^T d change by that one row of W (algorithm CP). Thousands of breakpoints are passed at once: a
cumulative sum over the rows gives p, c, f' and f'' after each.

Breakpoints are never all sorted: only those up to where the current piece predicts the minimiser are looked
at, since if none is there the search is over. Should they be too many to sort within the memory promised, a
nearer horizon is found by bisection; ties too many even for that are passed as one.
"""

import math
import sys
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sharpmin.optim.blocks import BLOCK, FEW, between, blocks, indices
from sharpmin.optim.compact import CompactMatrix


@dataclass(frozen=True)
class Piece:
    """Where the path stands just after a breakpoint (or at its start).

    Attributes:
        t: the path's parameter.
        dd: d^T d over the variables that still move.
        p: W^T d.
        c: W^T (x(t) - x_k).
        passed: W_A^T W_A for the variables A whose breakpoints have been passed.
        fixed: the largest of these breakpoints; variables with breakpoints up to this are at their bounds.
    """

    t: float
    dd: float
    p: Tensor
    c: Tensor
    passed: Tensor
    fixed: float = 0.0

    @classmethod
    def start(cls, dd: float, p: Tensor) -> "Piece":
        """Return the path where it starts, at x_k."""
        return cls(0.0, dd, p, torch.zeros_like(p), p.new_zeros((len(p), len(p))))

    def moved_to(self, t: float) -> "Piece":
        """Return the path at a later t with no breakpoint in between."""
        return replace(self, t=t, c=self.c + (t - self.t) * self.p)


class CauchySearch:
    """Algorithm CP for one iteration: the matrix B, the breakpoints t and the gradient g."""

    def __init__(self, B: CompactMatrix, t: Tensor, g: Tensor) -> None:
        self.B, self.t, self.g = B, t, g
        self.M = B.middle
        self.room = max(len(t) // 8, BLOCK)

    def run(self, piece: Piece) -> Piece:
        """Return the path at the generalised Cauchy point, from its start."""
        self.floor = max(torch.finfo(torch.float64).eps * self.B.theta * piece.dd, sys.float_info.min)
        reached = 0.0
        while True:
            stop = self._minimiser(piece)
            horizon = self._on_grid(stop)
            if horizon <= reached:
                return piece.moved_to(stop)
            reached, index = self._ahead(reached, horizon)
            if index is None:
                piece = self._pass_ties(piece, reached)
            elif not len(index):
                return piece.moved_to(stop)
            else:
                piece, found = self._pass(piece, index)
                if found:
                    return piece.moved_to(self._minimiser(piece))

    def _minimisers(self, t: Tensor, dd: Tensor, p: Tensor, c: Tensor) -> Tensor:
        """Return t - f'/f'' for many pieces (one per column of p and c), no earlier than where each starts."""
        theta, Mp = self.B.theta, self.M.to(p.device) @ p
        f1 = dd * (theta * t - 1.0) - (Mp * c).sum(0)
        f2 = torch.clamp(theta * dd - (Mp * p).sum(0), min=self.floor)
        return t + torch.clamp(-f1 / f2, min=0.0)

    def _minimiser(self, piece: Piece) -> float:
        t, dd = (torch.tensor([value], dtype=torch.float64) for value in (piece.t, piece.dd))
        return float(self._minimisers(t, dd, piece.p[:, None], piece.c[:, None]))

    def _pass(self, piece: Piece, index: Tensor) -> tuple[Piece, bool]:
        """Pass the breakpoints of the variables in `index`, or those before a minimiser (then also True)."""
        t, order = self.t[index].sort()
        for block in blocks(t, FEW):
            piece, found = self._pass_block(piece, index[order[block]], t[block].to(torch.float64))
            if found:
                return piece, True
        return piece, False

    def _pass_block(self, piece: Piece, index: Tensor, t: Tensor) -> tuple[Piece, bool]:
        """Form the pieces before and after each of these breakpoints; stop at the first with a minimiser.

        Breakpoints that coincide are passed together: no piece of length 0 can hold the minimiser.
        """
        d, columns = -self.g[index].to(torch.float64), self.B.columns(index)
        dd = _running(d.new_tensor(piece.dd), -d * d).clamp(min=0.0)
        p = _running(piece.p.to(d.device), -columns * d)
        times = torch.cat([t.new_tensor([piece.t]), t])
        c = _running(piece.c.to(d.device), p[:, :-1] * times.diff())
        holds = (self._minimisers(times, dd, p, c)[:-1] < t) & (times[:-1] < t)
        last = int(holds.to(torch.uint8).argmax()) if bool(holds.any()) else len(t)
        fixed = float(times[last]) if last else piece.fixed
        passed = piece.passed + (columns[:, :last] @ columns[:, :last].T).cpu()
        after = Piece(float(times[last]), float(dd[last]), p[:, last].cpu(), c[:, last].cpu(), passed, fixed)
        return after, last < len(t)

    def _pass_ties(self, piece: Piece, t: float) -> Piece:
        """Pass all variables whose breakpoint is exactly t, however many."""
        piece = replace(piece.moved_to(t), fixed=t)
        for block in blocks(self.t, FEW):
            index = indices(self.t[block] == t) + block.start
            d, columns = -self.g[index].to(torch.float64), self.B.columns(index)
            dd, p, passed = float(d @ d), (columns @ d).cpu(), (columns @ columns.T).cpu()
            piece = replace(piece, dd=max(0.0, piece.dd - dd), p=piece.p - p, passed=piece.passed + passed)
        return piece

    def _ahead(self, low: float, high: float) -> tuple[float, Tensor | None]:
        """Return a horizon and the variables with breakpoints in (low, horizon], as far towards `high` as fits.

        None instead of the variables says that too many of them to list meet their bounds at the horizon
        itself.
        """
        index = self._between(low, high)
        return (high, index) if index is not None else self._nearer(low, high)

    def _nearer(self, low: float, high: float) -> tuple[float, Tensor | None]:
        """Bisect, in ratio, for a horizon with some but not too many breakpoints before it."""
        empty, too_many = low, high
        while True:
            middle = self._on_grid(math.sqrt(empty * too_many) if empty else too_many / 16.0)
            if not empty < middle < too_many:
                return too_many, None
            index = self._between(low, middle)
            if index is None:
                too_many = middle
            elif not len(index):
                empty = middle
            else:
                return middle, index

    def _between(self, low: float, high: float) -> Tensor | None:
        """Return the variables with low < t_i <= high, or None if they are more than there is room for."""
        found, count = [], 0
        for block in blocks(self.t):
            inside = between(self.t[block], low, high)
            count += len(inside)
            if count > self.room:
                return None
            found.append(inside + block.start)
        return torch.cat(found)

    def _on_grid(self, t: float) -> float:
        """Return t as the breakpoints' dtype can hold it; finite, so that no bound at infinity is ever met."""
        return min(float(torch.tensor(t, dtype=torch.float64).to(self.t.dtype)), torch.finfo(self.t.dtype).max)


def _running(start: Tensor, steps: Tensor) -> Tensor:
    """Return start, start + steps[0], start + steps[0] + steps[1], ... along the last dimension."""
    return torch.cat([start[..., None], start[..., None] + steps.cumsum(-1)], dim=-1)
