"""A checkpoint's tensors under a model's names, or a list of everything that does not fit.

`comparing` says when a state dict fits. Of several in one checkpoint the one that fits is taken, and which one it
was, and what was done to make it fit, is in the result.
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sharpmin.checkpoints.adapters import ELSEWHERE, adapted, has_adapter, is_adapter
from sharpmin.checkpoints.comparing import Comparison, Wanted, compare, describe, same
from sharpmin.checkpoints.converting import converted, is_of_transformers
from sharpmin.checkpoints.names import abbreviated, bare, below
from sharpmin.checkpoints.nesting import is_usual
from sharpmin.checkpoints.reading import NAMELESS, Checkpoint
from sharpmin.errors import CheckpointError
from sharpmin.network import unwrapped


@dataclass(frozen=True)
class Fit:
    """The tensors of a checkpoint under the names of a model.

    Attributes:
        weights: a tensor for every one in the model's state dict, in the dtype in which it was saved.
        path: the file or folder.
        key: which of its state dicts this is; "" for the top.
        prefix: what was dropped from the front of all its names, besides the wrappers' prefixes.
        tied: names that were missing and are tied to one that was not.
        kept: names that were missing and keep the model's own values (`num_batches_tracked`, the base of an adapter).
        ignored: names in the checkpoint that the model does without.
        rounded: names whose values the model's dtype cannot hold.
        others: keys of the other state dicts in the checkpoint that fit as well.
        by: the class of transformers that loads what it saved under other names; "" where the names fit as they are.
        adapter: the adapter (PEFT) whose weights these are, the base being among `kept`; "" for the whole model.

    """

    weights: dict[str, Tensor]
    path: Path
    key: str
    prefix: str
    tied: tuple[str, ...]
    kept: tuple[str, ...]
    ignored: tuple[str, ...]
    rounded: tuple[str, ...]
    others: tuple[str, ...]
    by: str = ""
    adapter: str = ""


RENAMED = (
    ". transformers renames weights as it saves, and its own models alone take them back: let make() return one, or "
    "load the folder into one with its from_pretrained and save that one's names, torch.save(model.state_dict(), "
    "'weights.pt')"
)
"""What to do with a `save_pretrained` folder for a model that is not of transformers."""


def fit(checkpoint: Checkpoint, model: nn.Module, *, key: str | None = None) -> Fit:
    """Match a checkpoint's tensors to a model by name and shape; the model is not touched.

    Args:
        checkpoint: what `read_checkpoint` gave.
        model: any module, wrapped (`DataParallel`, `torch.compile`) or not.
        key: which state dict to take, "" for the top; or the prefix of the names to take from one, such as "model"
            of a Lightning module that holds more than the model. By default the one that fits, and of several the
            first by `nesting.USUAL`.

    Returns:
        The tensors under the model's names, and what was done to get there.

    Raises:
        CheckpointError: nothing fits: all wrong shapes, missing and unexpected names are listed, of the state dict
            that comes closest. Or several fit and none is where weights usually are.
        UsageError: the model itself has no weights yet.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> weights = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
        >>> found = fit(Checkpoint(Path("last.pt"), "torch", {"model": weights, "ema": weights}), model)
        >>> list(found.weights), found.key, found.others
        (['weight', 'bias'], 'model', ('ema',))

    """
    wanted = describe(model)
    chosen = _select(checkpoint, key)
    compared = {place: compare(tensors, wanted) for place, tensors in chosen.items()}
    if not any(comparison.fits for comparison in compared.values()):
        compared = {p: _otherwise(chosen[p], model, wanted, checkpoint.path, compared[p]) for p in chosen}
    fitting = [place for place, comparison in compared.items() if comparison.fits]
    if not fitting:
        closest = max(compared, key=lambda place: compared[place].closeness)
        parts = [part for place in chosen for part in _parts_that_fit(place, chosen[place], wanted)]
        advice = _advice(checkpoint.path, chosen[closest], model)
        raise CheckpointError(_complaint(checkpoint.path, closest, compared[closest], parts) + advice)
    if len(fitting) > 1 and not is_usual(fitting[0]):
        raise CheckpointError(
            f"{checkpoint.path} holds several state dicts that fit the model: choose one of "
            f"{abbreviated([f'{checkpoint.path}:{place}' for place in fitting])}"
        )
    return _accept(checkpoint.path, fitting, compared[fitting[0]], wanted)


def load_into(model: nn.Module, checkpoint: Checkpoint, *, key: str | None = None) -> Fit:
    """Put a checkpoint's tensors, parameters and buffers, into a model.

    The model keeps its dtypes, its devices, what is frozen and what is tied. Where its dtype cannot hold the
    checkpoint's values (float32 into a bfloat16 model) a warning says so: convert the model first.

    Args:
        model: changed in place; where the checkpoint does not fit, not at all.
        checkpoint: what `read_checkpoint` gave.
        key: as for `fit`.

    Returns:
        What `fit` found.

    Raises:
        CheckpointError: the checkpoint does not fit; see `fit`.

    Example:
        >>> weights = {"weight": torch.zeros(2, 3), "bias": torch.ones(2)}
        >>> model = nn.Linear(3, 2)
        >>> found = load_into(model, Checkpoint(Path("last.pt"), "torch", {"": weights}))
        >>> model(torch.rand(3)).tolist()
        [1.0, 1.0]

    """
    found = fit(checkpoint, model, key=key)
    own = model.state_dict()
    if found.rounded:
        wide, narrow = (_dtypes(tensors, found.rounded) for tensors in (found.weights, own))
        warnings.warn(
            f"{found.path}: {' and '.join(wide)} values are rounded to the model's {' and '.join(narrow)} "
            f"({abbreviated(list(found.rounded))}); to keep every bit, convert the model first: model.to({wide[-1]})",
            stacklevel=2,
        )
    own.update(found.weights)
    model.load_state_dict(own)
    return found


def _select(checkpoint: Checkpoint, key: str | None) -> dict[str, dict[str, Tensor]]:
    """The state dicts to try: all, the one under this key, or the part of one that this key is a prefix of."""
    everything = checkpoint.state_dicts
    if key is None:
        return everything
    if key in everything:
        return {key: everything[key]}
    for place, tensors in everything.items():
        if part := _part(tensors, key.removeprefix(f"{place}.")):
            return {key: part}
    if any(f"{place}.".startswith(f"{key}.") for place in checkpoint.nameless):
        raise CheckpointError(f"{checkpoint.path}:{key} {NAMELESS}")
    there = [f"{place!r} ({len(tensors)} tensors)" for place, tensors in everything.items()]
    raise CheckpointError(f"{checkpoint.path} has nothing under {key!r}: choose among {abbreviated(there)}")


def _otherwise(
    tensors: dict[str, Tensor], model: nn.Module, wanted: Wanted, path: Path, by_name: Comparison
) -> Comparison:
    """The comparison by name, or one that comes closer: with an adapter, or as the model's own class loads."""
    comparisons = [by_name, *adapted(tensors, model, wanted, path)]
    if not any(comparison.fits for comparison in comparisons):
        renamed = converted(tensors, model)
        comparisons += (
            [] if renamed is None else [replace(compare(renamed, wanted), by=type(unwrapped(model)).__name__)]
        )
    return max(comparisons, key=lambda comparison: (comparison.fits, comparison.closeness))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    names = bare(tensors)
    return {name: tensors[names[longer]] for name, longer in below(names, prefix).items()}


def _parts_that_fit(place: str, tensors: dict[str, Tensor], wanted: Wanted) -> list[str]:
    """Keys that would choose a part of this state dict that does fit."""
    segments = dict.fromkeys(name.partition(".")[0] for name in bare(tensors) if "." in name)
    fitting = [segment for segment in segments if compare(_part(tensors, segment), wanted).fits]
    return [f"{place}.{segment}" if place else segment for segment in fitting]


def _complaint(path: Path, key: str, closest: Comparison, parts: list[str]) -> str:
    where = f"{path}:{key}" if key else str(path)
    lists = {"wrong": closest.wrong, "missing": closest.missing, "unexpected": closest.unexpected}
    said = "; ".join(f"{kind}: {abbreviated(names)}" for kind, names in lists.items() if names)
    if parts:
        return f"{where} does not fit the model: {said}. A part of it does: {path}:{parts[0]}"
    if not closest.closeness[0]:
        return f"{where} is of another network, no name agrees: {said}"
    return f"{where} does not fit the model: {said}"


def _advice(path: Path, tensors: dict[str, Tensor], model: nn.Module) -> str:
    """What else to do about a checkpoint that does not fit, where another library may have written it."""
    if is_adapter(path, tensors):
        return "" if has_adapter(model) else ELSEWHERE
    config = (path if path.is_dir() else path.parent) / "config.json"
    return RENAMED if config.is_file() and not is_of_transformers(model) else ""


def _accept(path: Path, keys: list[str], found: Comparison, wanted: Wanted) -> Fit:
    return Fit(
        weights={original: found.tensors[name] for name, original in wanted.own.items()},
        path=path,
        key=keys[0],
        prefix=found.prefix,
        tied=tuple(found.tied),
        kept=tuple(found.kept),
        ignored=tuple(found.ignored),
        rounded=tuple(wanted.own[n] for n, t in found.tensors.items() if _rounds(t, wanted.tensors[n].dtype)),
        others=tuple(keys[1:]),
        by=found.by,
        adapter=found.adapter,
    )


def _rounds(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether a value changes on its way into the dtype."""
    return tensor.dtype != dtype and not same(tensor, tensor.to(dtype).to(tensor.dtype))


def _dtypes(tensors: dict[str, Tensor], names: tuple[str, ...]) -> list[str]:
    """The dtypes of the named tensors, narrowest first."""
    return [str(dtype) for dtype in sorted({tensors[name].dtype for name in names}, key=lambda d: (d.itemsize, str(d)))]
