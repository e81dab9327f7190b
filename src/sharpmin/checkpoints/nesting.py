"""The state dicts inside what a training script saved: at the top, or below "state_dict", "model", ..."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
"""Where scripts keep the weights, most usual first. Averages (ema, swa, teacher) are not meant unless asked for."""

DEPTH = 4
"""How deep to look; a pickle may contain itself."""


def state_dicts(content: Any) -> dict[str, dict[str, Tensor]]:
    """Every dict of named tensors in `content` by its dotted key ("" for the top), the usual places first.

    What else is there (epochs, settings, the states of optimizers) is left out.

    Example:
        >>> import torch
        >>> state_dicts({"epoch": 3, "model": {"weight": torch.ones(1)}})
        {'model': {'weight': tensor([1.])}}

    """
    found = sorted(_walk(content, ()), key=lambda item: [_rank(key) for key in item[0]])
    return {".".join(path): tensors for path, tensors in found}


def nameless(content: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted keys of lists of tensors, such as `shadow_params` of torch-ema: in an order, and without names."""
    if isinstance(content, list | tuple) and content and all(isinstance(value, Tensor) for value in content):
        yield ".".join(path)
    elif isinstance(content, dict) and not is_optimizer(content) and len(path) <= DEPTH:
        for key, value in content.items():
            yield from nameless(value, (*path, str(key)))


def is_usual(key: str) -> bool:
    """Whether weights under this key are the ones meant unless something else is asked for."""
    return not key or all(segment in USUAL for segment in key.split("."))


def holds_optimizer(content: Any) -> bool:
    """Whether `content` is the state of an optimizer, or a dict or list with one in it."""
    inside = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return is_optimizer(content) or any(is_optimizer(value) for value in inside)


def is_optimizer(content: Any) -> bool:
    """Whether `content` is what `torch.optim.Optimizer.state_dict()` gives."""
    return isinstance(content, dict) and {"state", "param_groups"} <= content.keys()


def _walk(content: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    if not isinstance(content, dict) or is_optimizer(content) or len(path) > DEPTH:
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    if tensors := {key: value.detach() for key, value in named.items() if isinstance(value, Tensor)}:
        yield path, tensors
    for key, value in named.items():
        yield from _walk(value, (*path, key))


def _rank(key: str) -> int:
    return USUAL.index(key) if key in USUAL else len(USUAL)
