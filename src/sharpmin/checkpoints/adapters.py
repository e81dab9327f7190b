"""The weights of a PEFT adapter (LoRA and its kin), for a model that has that adapter.

Such a file holds what was trained and not the base model, under names without the adapter's own:
`...query.lora_A.weight` is `...query.lora_A.default.weight` in the model. Which tensor PEFT saves by which name, it
is asked: it is given the model's own state dict, and what comes back is recognised in it. It reads no file.

The base stays as the model has it. What an adapter does depends on a few settings that are not among its tensors;
where its `adapter_config.json` lies beside it, they are compared.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sharpmin.checkpoints.comparing import Comparison, Wanted, compare
from sharpmin.checkpoints.names import bare
from sharpmin.network import unwrapped

ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
"""What PEFT's `save_pretrained` calls its file."""

SETTINGS = (
    *("peft_type", "lora_alpha", "alpha", "alpha_pattern", "use_rslora", "use_dora", "scaling", "random_loc_seed"),
    *("randlora_alpha", "apply_GS", "coft", "eps", "projection_prng_key"),
)
"""What an adapter's function depends on besides its tensors, as in `adapter_config.json`."""

MOVES_BASE = ("pissa", "olora", "corda", "loftq")
"""How `init_lora_weights` begins where it changes the base."""

ELSEWHERE = (
    ". It is an adapter (PEFT) and not the model: let make() return the PEFT model that it was trained in "
    "(get_peft_model, not merged, one adapter active), or save the whole, torch.save(peft_model.state_dict(), "
    "'weights.pt') for that model or merge_and_unload() and save_pretrained for its base"
)
"""What to do with an adapter for a model that does not have it."""


def adapted(tensors: dict[str, Tensor], model: nn.Module, wanted: Wanted, path: Path) -> Iterator[Comparison]:
    """Compare a state dict with each active adapter of the model; there are none where it is not of PEFT.

    Args:
        tensors: the state dict.
        model: any; it is not touched.
        wanted: what it asks for.
        path: where the tensors come from.

    Yields:
        What fits and what does not, with the base among what keeps the model's own values.

    """
    for adapter, saved in _adapters(unwrapped(model)):
        asked = Wanted(
            {short: wanted.tensors[own] for short, own in saved.items()},
            {short: wanted.own[own] for short, own in saved.items()},
            twins={},
            hidden={},
        )
        found = compare(tensors, asked)
        own = {saved[short]: tensor for short, tensor in found.tensors.items()}
        rest = [name for name in wanted.tensors if name not in saved.values()]
        tied = {name: own[twin] for name in rest for twin in wanted.twins.get(name, ()) if twin in own}
        held = {name: wanted.tensors[name].clone() for name in rest if found.fits and name not in tied}
        yield replace(
            found,
            tensors={**own, **tied, **held},
            tied=[wanted.own[name] for name in tied],
            kept=[*found.kept, *(wanted.own[name] for name in held)],
            wrong=[*found.wrong, *_other_settings(path, unwrapped(model), adapter)],
            adapter=adapter,
        )


def is_adapter(path: Path, tensors: dict[str, Tensor]) -> bool:
    """Whether this is an adapter's file or folder, or its tensors are LoRA's."""
    file = path.name if path.is_file() else next((name for name in ADAPTERS if (path / name).is_file()), "")
    return file.startswith("adapter_model.") or any(".lora_" in name for name in tensors)


def has_adapter(model: nn.Module) -> bool:
    """Whether the model has an adapter of PEFT that can be loaded by name."""
    return any(_adapters(unwrapped(model)))


def _adapters(network: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """The active adapter, where it is one, and for each of the names that PEFT saves, bare, the model's bare name."""
    if "peft" not in sys.modules or not isinstance(getattr(network, "peft_config", None), dict):
        return
    if any(getattr(module, "merged", False) is True for module in network.modules()):  # it is in the base already
        return
    active = network.active_adapters() if callable(network.active_adapters) else network.active_adapters
    for adapter in active if len(active) == 1 else ():  # of several nobody knows whose the tensors are
        found = [_saved(network, adapter, embeddings=embeddings) for embeddings in (False, True)]
        yield from ((adapter, names) for i, names in enumerate(found) if names and names not in found[:i])


def _saved(network: Any, adapter: str, *, embeddings: bool) -> dict[str, str]:
    """Bare names by the names under which PEFT saves their tensors; none where it computes what it saves."""
    state = network.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = sys.modules["peft"].get_peft_model_state_dict(
            network, state_dict=state, adapter_name=adapter, save_embedding_layers=embeddings
        )
    own = {id(state[longer]): short for short, longer in bare(state).items()}
    if any(id(tensor) not in own for tensor in saved.values()):
        return {}
    return {short: own[id(saved[longer])] for short, longer in bare(saved).items()}


def _other_settings(path: Path, network: Any, adapter: str) -> Iterator[str]:
    """The settings beside the tensors in which the adapter and the model's differ."""
    file = (path if path.is_dir() else path.parent) / "adapter_config.json"
    try:
        given = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return
    own = network.peft_config[adapter].to_dict()
    begins = [str(config.get("init_lora_weights")).lower() for config in (given, own)]
    moved = any(begin.startswith(MOVES_BASE) for begin in begins)
    for setting in (*SETTINGS, "init_lora_weights") if moved else SETTINGS:
        if setting in given and setting in own and given[setting] != own[setting]:
            yield f"{setting} is {given[setting]} instead of {own[setting]}"
