"""The promise of an alignment, tested: the network computes the same function in any order of its units.

A symbolic trace knows no shapes and sees only the forward pass. BatchNorm1d after a Linear layer normalises channels on
[B, C] and something else on [B, T, C], and a loss may read more than what forward returns. On data this shows.

The loss is compared where each weight is up to a tenth larger than b's: at an interpolating minimizer it may be so
small that rounding changes it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sharpmin.alignment.spaces import Space, permuted
from sharpmin.arithmetic import forward_pass
from sharpmin.batching import moved
from sharpmin.batchnorm import Policy, evaluating
from sharpmin.determinism import first_batch
from sharpmin.errors import UsageError
from sharpmin.losses import summed
from sharpmin.objective import Objective
from sharpmin.randomness import RandomStream

TOLERANCE = 1e-4  # relative; rounding in float32 is far below


def check_function(
    objective: Objective, b: Mapping[str, Tensor], spaces: Sequence[Space], permutations: Mapping[str, Tensor]
) -> None:
    """Raise a UsageError where the loss of the first batch is another in the order found, or in a random one."""
    generator, batch = torch.Generator().manual_seed(0), first_batch(objective)
    mixed = {space.name: torch.randperm(space.size, generator=generator) for space in spaces}
    state = near(objective.model, b, generator)
    one, *others = (loss_at(objective, permuted(state, spaces, order), batch) for order in ({}, permutations, mixed))
    if not math.isfinite(one):
        raise UsageError(f"near b the loss of the first batch is {one}, so no function can be compared")
    for other in others:
        if not abs(other - one) <= TOLERANCE * abs(one):
            raise UsageError(
                "this network does something to its channels that its trace does not show: near b the loss of the "
                f"first batch is {one:.6g} in one order of the units and {other:.6g} in another. Is a BatchNorm1d or "
                "PReLU given [B, T, C] by a Linear layer, does the loss read more than what forward returns, or is it "
                "random? See docs/connect.md"
            )


def near(model: nn.Module, state: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The state with each weight larger by a random share of it, up to a tenth."""
    weights = {name: state[name].detach() for name, _ in model.named_parameters()}
    return {**state, **{n: w + w * torch.rand(w.shape, generator=generator).to(w) / 10 for n, w in weights.items()}}


@torch.no_grad()
def loss_at(objective: Objective, state: Mapping[str, Tensor], batch: Any) -> float:
    """The summed loss of a batch with all tensors of a state, without the rounding of a faster precision."""
    host, device = objective.host, objective.device
    network = host.with_tensors({name: host.moved(t) for name, t in state.items()}, host.buffers(state))
    policy: Policy = "batch" if objective.batch_norm == "recalibrate" else objective.batch_norm
    with evaluating(objective.model, policy), forward_pass("float32", device), RandomStream(device):
        return summed(network.lend(objective.loss, moved(batch, device, copied=True))).total.item()
