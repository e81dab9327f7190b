"""Weight matching: the order of b's hidden units in which its weights lie nearest to a's.

    maximise  sum over the weights of <W_a, P W_b Q^T>,    P, Q, ... permutations

(Ainsworth, Hayase and Srinivasa 2023, equation 1 and algorithm 1.) It is the squared distance that becomes least, since
permutations keep the norm. In one space at a time, in random order, all other permutations held, this is a linear
assignment problem, solved exactly; passes over the spaces go on until none improves. The whole problem is NP-hard, and
what is found is a local maximum, which depends on the seed.

The inner products are of parameters, in float64. Running statistics are permuted and do not count.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sharpmin.alignment.channels import trace_spaces
from sharpmin.alignment.function import check_function
from sharpmin.alignment.spaces import Slot, Space, permuted
from sharpmin.errors import UsageError
from sharpmin.network import unwrapped
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

SMALL = 1e-12  # relative to the inner products: gains below are roundings


@dataclass(frozen=True, eq=False)
class Alignment:
    """One network's units in the order of another's.

    Attributes:
        permutations: by space, [size]: unit i of the aligned network is unit p[i] of b.
        spaces: what each permutation acts on.
        state: b's state dict, aligned; buffers included.
        before: sum of the inner products of a's and b's permutable parameters.
        after: the same with b aligned; not below `before`.
        passes: over all spaces.
        converged: whether the last pass improved nothing.
        seed: of the order in which spaces were visited.
        seconds: time taken.

    """

    permutations: dict[str, Tensor]
    spaces: tuple[Space, ...]
    state: dict[str, Tensor]
    before: float
    after: float
    passes: int
    converged: bool
    seed: int
    seconds: float

    @property
    def moved(self) -> int:
        """Units that have another place than in b."""
        return sum(int((p != torch.arange(len(p))).sum()) for p in self.permutations.values())


def align(
    model: nn.Module,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    *,
    objective: Objective | None = None,
    max_passes: int = 100,
    seed: int = 0,
    progress: Progress = silent,
) -> Alignment:
    """Permute the hidden units of b to match those of a; b computes the same function afterwards.

    Args:
        model: the network, whose structure is traced; its own weights do not matter and stay as they are.
        a: a state dict of the model.
        b: another, not written to.
        objective: f of the model. Where it is given, its first batch tests that the function stays; a trace has no
            shapes, and takes a BatchNorm1d or PReLU after a Linear to be given [B, C].
        max_passes: over all spaces, at most.
        seed: of the order in which they are visited.
        progress: told the passes done.

    Returns:
        The permutations and b's aligned state dict, buffers included, with what was gained.

    Raises:
        UsageError: the structure cannot be traced (see `trace_spaces`) or has nothing to permute; a or b is not of
            this model or not finite; the objective sees another function afterwards.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> a, spaces = model.state_dict(), trace_spaces(model)
        >>> b = permuted(a, spaces, {"0": torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])})
        >>> found = align(model, a, b)
        >>> found.permutations["0"].tolist(), bool((found.state["0.weight"] == a["0.weight"]).all())
        ([7, 6, 5, 4, 3, 2, 1, 0], True)

    Source: Ainsworth, Hayase and Srinivasa 2023, algorithm 1.

    """
    began = time.perf_counter()
    if max_passes < 1:
        raise UsageError(f"max_passes is {max_passes}: it must be at least 1")
    spaces = trace_spaces(model)
    if not spaces:
        raise UsageError("no unit of this network can be permuted: every channel is tied to its inputs or outputs")
    model = unwrapped(model)
    check_states(model, a, b)
    parameters = {name for name, _ in model.named_parameters()}
    counted = [Space(s.name, s.size, tuple(t for t in s.slots if t.tensor in parameters)) for s in spaces]
    permutations, before, after, passes, converged = coordinate_ascent(
        counted, a, b, max_passes=max_passes, seed=seed, progress=progress
    )
    if objective is not None:
        check_function(objective, b, spaces, permutations)
    return Alignment(
        permutations=permutations,
        spaces=spaces,
        state=permuted(b, spaces, permutations),
        before=before,
        after=after,
        passes=passes,
        converged=converged,
        seed=seed,
        seconds=time.perf_counter() - began,
    )


def coordinate_ascent(
    spaces: Sequence[Space],
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    *,
    max_passes: int,
    seed: int,
    progress: Progress,
) -> tuple[dict[str, Tensor], float, float, int, bool]:
    """Algorithm 1: the permutations, the objective before and after, passes, and whether the last changed nothing."""
    names = dict.fromkeys(slot.tensor for space in spaces for slot in space.slots)
    fixed = {name: a[name].detach().cpu().double() for name in names}
    moving = {name: b[name].detach().cpu().double() for name in names}
    permutations = {space.name: torch.arange(space.size) for space in spaces}
    before, order, passes, improved = inner(fixed, moving), np.random.default_rng(seed), 0, True
    while improved and passes < max_passes:
        improved = False
        for space in (spaces[index] for index in order.permutation(len(spaces))):
            if (step := best_order(space, fixed, moving)) is not None:
                moving = permuted(moving, [space], {space.name: step})
                permutations[space.name] = permutations[space.name][step]
                improved = True
        passes += 1
        progress("align", passes, None, unit="passes", note=f"inner product {inner(fixed, moving):.6g}")
    return permutations, before, inner(fixed, moving), passes, not improved


def best_order(space: Space, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensor | None:
    """The order of this space's units that brings b nearest to a, all else held; None where b's own is as good."""
    from scipy.optimize import linear_sum_assignment  # its import adds warning filters

    likeness = sum(rows(a[slot.tensor], slot) @ rows(b[slot.tensor], slot).T for slot in space.slots)
    assert isinstance(likeness, Tensor)
    step = torch.from_numpy(linear_sum_assignment(likeness.numpy(), maximize=True)[1])
    own = {slot.tensor: b[slot.tensor] for slot in space.slots}
    gain = inner(a, permuted(own, [space], {space.name: step})) - inner(a, own)  # a tensor may have two of the slots
    return step if gain > SMALL * space.size * float(likeness.abs().max()) else None


def rows(tensor: Tensor, slot: Slot) -> Tensor:
    """All that a tensor holds about each channel, [size, ...]."""
    front = tensor.movedim(slot.axis, 0)
    return front.reshape(len(front) // slot.block, -1)


def inner(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """The sum of the inner products of b's tensors with a's."""
    return sum(torch.dot(a[name].reshape(-1), tensor.reshape(-1)).item() for name, tensor in b.items())


def check_states(model: nn.Module, *states: Mapping[str, Tensor]) -> None:
    """Raise a UsageError for a state dict that is not of this model or not finite."""
    for state in states:
        for name, own in model.state_dict().items():
            if name not in state or state[name].shape != own.shape:
                found = f"has shape {list(state[name].shape)}" if name in state else "is missing"
                raise UsageError(f"a state dict does not fit the model: {name} {found}, not {list(own.shape)}")
            if not bool(state[name].isfinite().all()):
                raise UsageError(f"a state dict has NaN or infinite numbers in {name}: it cannot be aligned")
