"""What BatchNorm does while f is evaluated: the policy, made explicit.

"running"  the stored running statistics normalise, as after `model.eval()`.
"batch"    the statistics of the batch at hand normalise, and the stored ones are not touched. The paper's
           networks know nothing else (Keras-1 `mode=2`), so f then depends on the evaluation batch size.

Running statistics belong to the theta they were collected at: between or beyond two minimizers they fit
neither, and a variance extrapolated along a line can turn negative.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sharpmin.errors import UsageError

Policy = Literal["running", "batch"]


def check_policy(policy: str) -> None:
    """Raise a UsageError unless `policy` is one of the policies."""
    if policy not in get_args(Policy):
        raise UsageError(f"unknown BatchNorm policy {policy!r}: choose one of {', '.join(get_args(Policy))}")


@contextmanager
def evaluating(model: nn.Module, policy: Policy) -> Iterator[None]:
    """Put the model in evaluation mode under the policy; every module's mode comes back as it was.

    PyTorch's BatchNorm uses the batch's statistics without storing them exactly when it is in training mode
    and told not to track; both flags are per module and are restored even after an exception.
    """
    flags = [(m, m.training, getattr(m, "track_running_stats", None)) for m in model.modules()]
    try:
        model.eval()
        if policy == "batch":
            for module in model.modules():
                if isinstance(module, _BatchNorm):
                    module.training, module.track_running_stats = True, False
        yield
    finally:
        for module, training, tracks in flags:
            module.training = training
            if tracks is not None:
                module.track_running_stats = tracks
