"""Tensors that transformers renamed as it saved them, under the names of the model that asks for them.

Since its version 5 `save_pretrained` writes the names and the shapes of older versions: it renames, splits and joins
tensors, and joins and splits them again as it loads. What belongs to what, only the model's class knows. So the class
of the model at hand is asked to load them: from tensors that were read here, with the model's own config. transformers
itself opens no file and no connection then, and no code but that of the model's class is run.

Nothing is lost on the way: the load is in the widest dtype of the tensors, and is not used where a tensor came out
narrower. Nor is anything made up: what the checkpoint lacks is taken out again.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from sharpmin.checkpoints.names import bare
from sharpmin.errors import is_out_of_memory
from sharpmin.network import unwrapped

COMPUTED = ("position_ids", "rotary_emb.inv_freq")
"""Buffers of older versions that transformers leaves out in silence."""


def converted(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor] | None:
    """The tensors under the names of the model, as its class loads what it saved; None where that cannot be told.

    Args:
        tensors: of a state dict, under the names in the checkpoint.
        model: any; it is not touched.

    Returns:
        What came from the checkpoint, in the widest dtype in it; of another shape than the config says as it was under
        its name (a head may have been replaced), or without values; and what is left over.

    """
    network: Any = unwrapped(model)
    given = {name: tensors[longer] for name, longer in bare(tensors).items()}
    if not (is_of_transformers(network) and _are_weights(given, network)):
        return None
    try:
        with _silently():
            loaded, report = _strict(type(network)).from_pretrained(
                None,
                config=network.config,
                state_dict=dict(given),
                dtype=_widest(given),
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return None
    if report["error_msgs"] or not _are_exact(loaded, given):
        return None
    left = [*report["unexpected_keys"], *(name for name in given if name.endswith(COMPUTED))]
    misfits = {
        name: given.get(name, torch.empty(shape, device="meta")) for name, shape, *_ in report["mismatched_keys"]
    }
    found = {name: tensor for name, tensor in _once(loaded).items() if name not in report["missing_keys"]}
    return {**{name: given.get(name, torch.empty(0)) for name in left}, **found, **misfits}


def is_of_transformers(model: nn.Module) -> bool:
    """Whether the model's class is one of transformers, or made from one."""
    transformers: Any = sys.modules.get("transformers")  # where a model is of it, it has been imported
    return transformers is not None and isinstance(unwrapped(model), transformers.PreTrainedModel)


def _strict(cls: type) -> Any:
    """The class, without its lists of what may be missing and what may be left over."""
    nothing = property(lambda self: set(), lambda self, value: None)
    lists = dict.fromkeys(("_keys_to_ignore_on_load_missing", "_keys_to_ignore_on_load_unexpected"), nothing)
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, **lists})


def _are_weights(given: dict[str, Tensor], network: nn.Module) -> bool:
    """Whether there are no codes of quantized weights among them: only what is whole in the model is whole here."""
    if getattr(network, "hf_quantizer", None) is not None or not any(t.is_floating_point() for t in given.values()):
        return False
    held = {**dict(network.named_buffers()), **dict(network.named_parameters())}
    whole = {_leaf(name) for name, tensor in held.items() if not tensor.is_floating_point()}
    return all(tensor.is_floating_point() or _leaf(name) in {*whole, *COMPUTED} for name, tensor in given.items())


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _widest(given: dict[str, Tensor]) -> torch.dtype:
    """The narrowest dtype that holds all of the floating-point numbers."""
    return reduce(torch.promote_types, (tensor.dtype for tensor in given.values() if tensor.is_floating_point()))


def _are_exact(loaded: nn.Module, given: dict[str, Tensor]) -> bool:
    """Whether no tensor is in a dtype that could not hold all of the values given."""
    dtypes = {tensor.dtype for tensor in loaded.state_dict().values() if tensor.is_floating_point()}
    return all(torch.promote_types(dtype, _widest(given)) == dtype for dtype in dtypes)


def _once(loaded: nn.Module) -> dict[str, Tensor]:
    """The state dict, with one name of those that are tied: a file has no more."""
    names = {name for name, _ in (*loaded.named_parameters(), *loaded.named_buffers())}
    return {name: tensor for name, tensor in loaded.state_dict().items() if name in names}


@contextmanager
def _silently() -> Iterator[None]:
    """Without what transformers says and draws as it loads, and with the random state as it was."""
    logging: Any = sys.modules["transformers"].utils.logging
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        try:
            logging.set_verbosity_error()
            logging.disable_progress_bar()
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()
