"""What BatchNorm does while f is evaluated: the policy, made explicit.

"running"      the stored running statistics normalise, as after `model.eval()`.
"batch"        the statistics of the batch at hand normalise, and the stored ones are not touched. The paper's
               networks know nothing else (Keras-1 `mode=2`), so f then depends on the evaluation batch size.
"recalibrate"  at every theta the running statistics are first estimated anew from the training data, as
               `torch.optim.swa_utils.update_bn` does: the mean over its batches. They then move with theta, so f
               has values but no gradient that could be taken batch by batch.
"recalibrated" the statistics were so estimated at one theta, and are held there: what `Objective.recalibrated` gives,
               for measures that need a gradient. It is no choice of its own.

Running statistics belong to the theta they were collected at: between or beyond two minimizers they fit
neither, and a variance extrapolated along a line can turn negative.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sharpmin.errors import UsageError

Policy = Literal["running", "batch", "recalibrate", "recalibrated"]
FLAGS = ("training", "track_running_stats", "momentum")


def check_policy(policy: str) -> None:
    """Raise a UsageError unless `policy` is one that can be chosen."""
    choices = get_args(Policy)[:3]
    if policy not in choices:
        raise UsageError(f"unknown BatchNorm policy {policy!r}: choose one of {', '.join(choices)}")


def norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """The BatchNorm layers that keep running statistics, by name.

    Example:
        >>> list(norms(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False))))
        ['1']

    """
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def mixes(model: nn.Module, policy: Policy) -> bool:
    """Whether what an example adds to f depends on the others of its batch."""
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    return any(policy == "batch" or layer.running_mean is None for layer in layers)


@contextmanager
def evaluating(model: nn.Module, policy: Policy) -> Iterator[None]:
    """Put the model in evaluation mode under the policy; every module's mode comes back as it was.

    PyTorch's BatchNorm uses the batch's statistics without storing them exactly when it is in training mode
    and told not to track. (Under the other policies the statistics at hand are the running ones.)
    """
    with same_flags(model), several_examples():
        model.eval()
        if policy == "batch":
            for module in model.modules():
                if isinstance(module, _BatchNorm):
                    module.training, module.track_running_stats = True, False
        yield


@contextmanager
def estimating(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, but let its BatchNorms average the statistics of the batches they see."""
    with same_flags(model), several_examples():
        model.eval()
        for module in norms(model).values():
            module.training, module.track_running_stats, module.momentum = True, True, None
        yield


@contextmanager
def same_flags(model: nn.Module) -> Iterator[None]:
    """Give every module's flags back as they were, even after an exception, and the tensors that its hooks made.

    (Pruning, and weight normalisation of the old kind, compute a weight before each call and leave it in the module.)
    """
    kept = [(m, {flag: getattr(m, flag) for flag in FLAGS if hasattr(m, flag)} | made(m)) for m in model.modules()]
    try:
        yield
    finally:
        for module, flags in kept:
            for flag, value in flags.items():
                setattr(module, flag, value)


def made(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that hooks may have put into the module, which are neither weights nor buffers."""
    return {n: t for n, t in vars(module).items() if isinstance(t, Tensor)} if module._forward_pre_hooks else {}


@contextmanager
def several_examples() -> Iterator[None]:
    """Say what to do where a BatchNorm is to take the statistics of a single example."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UsageError(
            "BatchNorm has no statistics of a batch of one example, such as a ragged last one: give the loader "
            "drop_last=True or another batch size"
        ) from error
