"""The optimizers of training, and their state by the names of the weights.

PyTorch's own, at Keras-1 defaults: betas 0.9 and 0.999, epsilon 1e-8. A state is two dictionaries of plain tensors on
the CPU: the weights by name, and the optimizer's step counts and moments by `name.kind`. Put back into a new optimizer,
they give the same next step, bit for bit.

Any other optimizer may be named as an importable class, such as a LARS or LAMB of another package. It goes on to the
same bits as long as all it remembers is in its state: tensors and numbers, for a weight or for a group of them.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sharpmin.errors import SharpminError, UsageError
from sharpmin.tasks import failed, find

SOUGHT = {"wanted": "optimizer", "gives": "a torch.optim.Optimizer"}
LEARNING_RATES = {"adam": 1e-3, "sgd": 1e-2, "adagrad": 1e-2}  # Keras-1 defaults
EPSILON = 1e-8  # likewise
GROUP, NUMBER = "group:", ":number"  # in the keys of a state: of a group of weights; a number and no tensor


def make(rule: str, model: nn.Module, *, learning_rate: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """A new optimizer for the model's weights.

    Args:
        rule: "adam", "sgd" or "adagrad"; or a class by name, "package.module:Class", that takes the weights, and `lr`
            by keyword (a function or a `functools.partial` that returns an optimizer will do).
        model: whose weights it moves.
        learning_rate: of the rule.
        momentum: of "sgd".

    Raises:
        UsageError: there is no such class, or it made something else.
        TaskError: it raised.

    Example:
        >>> make("torch.optim:RMSprop", nn.Linear(4, 3), learning_rate=0.1).defaults["lr"]
        0.1

    """
    if ":" in rule:
        return of_somebody(rule, model, learning_rate=learning_rate)
    if rule == "sgd":
        return torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)
    if rule == "adagrad":
        return torch.optim.Adagrad(model.parameters(), lr=learning_rate, eps=EPSILON)
    on_gpu = any(parameter.is_cuda for parameter in model.parameters())  # there a step may be recorded
    return torch.optim.Adam(model.parameters(), lr=learning_rate, eps=EPSILON, fused=True, capturable=on_gpu)


def of_somebody(rule: str, model: nn.Module, *, learning_rate: float) -> torch.optim.Optimizer:
    """A new optimizer of a class by name."""
    try:
        made = find(rule, **SOUGHT)(model.parameters(), lr=learning_rate)
    except SharpminError:
        raise
    except Exception as error:
        raise failed(rule, error) from error
    if not isinstance(made, torch.optim.Optimizer):
        raise UsageError(f"{rule} made a {type(made).__name__}: name a torch.optim.Optimizer, or what returns one")
    return made


def check_rule(rule: str) -> None:
    """Raise a UsageError unless there is such a rule."""
    if ":" in rule:
        find(rule, **SOUGHT)
    elif rule not in LEARNING_RATES:
        raise UsageError(
            f"unknown optimizer {rule!r}: choose one of {', '.join(LEARNING_RATES)}, or name a class, "
            "package.module:Class"
        )


def usual_rate(rule: str) -> float:
    """The learning rate of a rule where none is given; a UsageError where there is no such rule, or none is usual."""
    check_rule(rule)
    if rule not in LEARNING_RATES:
        raise UsageError(f"optimizer {rule}: give its learning rate too")
    return LEARNING_RATES[rule]


def named_copies(model: nn.Module) -> dict[str, Tensor]:
    """The weights and the buffers by name, copied to the CPU in their plain layout; sparse buffers are left out."""
    buffers = [(name, buffer) for name, buffer in model.named_buffers() if buffer.layout is torch.strided]
    return {name: plain_copy(tensor) for name, tensor in (*model.named_parameters(), *buffers)}


def moments_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's step counts and moments, copied likewise; a frozen or unused weight may have none.

    Raises:
        UsageError: somebody's optimizer keeps what is neither tensor nor number.

    """
    kept = {
        f"{name}.{kind}": value
        for name, parameter in model.named_parameters()
        for kind, value in optimizer.state[parameter].items()
    }
    for number, group in enumerate(optimizer.param_groups):
        kept |= {f"{GROUP}{number}.{kind}": value for kind, value in changed(group, optimizer.defaults).items()}
    return dict(as_tensor(key, value) for key, value in kept.items() if value is not None)


def changed(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Tensor | float]:
    """What an optimizer keeps for a group of weights beside what it was made with: a count of steps, say."""
    return {
        kind: value
        for kind, value in group.items()
        if isinstance(value, Tensor) or (isinstance(value, int | float) and value != defaults.get(kind))
    }


def as_tensor(key: str, value: Any) -> tuple[str, Tensor]:
    """A part of a state as it is kept; a number is a tensor under a key that says so."""
    if isinstance(value, Tensor):
        return key, plain_copy(value)
    if isinstance(value, int | float):
        return key + NUMBER, torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
    raise UsageError(
        f"the optimizer keeps a {type(value).__name__} ({key}), which a checkpoint has no place for: "
        "use one whose state is tensors and numbers"
    )


def plain_copy(tensor: Tensor) -> Tensor:
    """A contiguous copy on the CPU."""
    return tensor.detach().to("cpu", copy=True).contiguous()


@torch.no_grad()
def restore(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    weights: Mapping[str, Tensor],
    moments: Mapping[str, Tensor],
) -> None:
    """Put weights and buffers into the model, and moments into its new optimizer, in the model's own layout."""
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])
    for name, buffer in model.named_buffers():
        if name in weights and not torch.equal(buffer.cpu(), weights[name].to(buffer.dtype)):
            buffer.copy_(weights[name])
    fused = bool(optimizer.defaults.get("fused"))
    for key, moment in moments.items():
        name, _, kind = key.removesuffix(NUMBER).rpartition(".")
        group = optimizer.param_groups[int(name.removeprefix(GROUP))] if name.startswith(GROUP) else None
        parameter = parameters[name] if group is None else group["params"][0]
        held = moment.item() if key.endswith(NUMBER) else where_it_was(moment, kind, parameter, fused=fused)
        (optimizer.state[parameter] if group is None else group)[kind] = held


def where_it_was(moment: Tensor, kind: str, parameter: Tensor, *, fused: bool) -> Tensor:
    """A moment as the optimizer had it: beside its weight, and laid out as that where it has its shape."""
    if kind == "step":  # fused rules count where the weights are, the others on the CPU
        return moment.to(parameter.device if fused else "cpu", copy=True)
    if moment.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
    return moment.to(parameter.device, copy=True)
