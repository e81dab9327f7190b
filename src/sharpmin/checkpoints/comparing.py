"""What fits and what does not: one state dict against the tensors that a model asks for.

It fits where every tensor of `model.state_dict()` has a counterpart of its name and shape and nothing is left over.
Names are compared without the wrappers' prefixes, and without a prefix that all the state dict's names share
(`names`). Exceptions, none of which changes f, are noted:

- a weight that is missing is taken from the one it is tied to (safetensors keeps one name of a tensor);
- a missing `num_batches_tracked` and the `n_averaged` of `torch.optim.swa_utils.AveragedModel` stay the model's own: no
  evaluation reads them;
- left over may be `n_averaged`, and a tensor that the model holds with
  the same values as a non-persistent buffer (older files of Hugging Face models have their `position_ids`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sharpmin.checkpoints.names import abbreviated, bare, below, shared_prefixes
from sharpmin.errors import UsageError

COUNTER = "num_batches_tracked"
AVERAGED = "n_averaged"


@dataclass(frozen=True)
class Wanted:
    """What a model asks for, by bare name.

    Attributes:
        tensors: its state dict.
        own: its own name for each of them.
        twins: all names of the tensor that has this name.
        hidden: its non-persistent buffers.

    """

    tensors: dict[str, Tensor]
    own: dict[str, str]
    twins: dict[str, tuple[str, ...]]
    hidden: dict[str, Tensor]


@dataclass(frozen=True)
class Comparison:
    """One state dict beside what a model asks for.

    Attributes:
        prefix: what was dropped from the front of all its names.
        tensors: those that the model asks for, by bare name.
        tied, kept, ignored: the exceptions made, by the names of the model (or, ignored, of the state dict).
        wrong, missing, unexpected: what does not fit, in words and names.
        by: the class that loads what it saved under other names; "" where the names are compared as they are.
        adapter: which adapter of the model was compared; "" for the whole model.

    """

    prefix: str
    tensors: dict[str, Tensor]
    tied: list[str]
    kept: list[str]
    ignored: list[str]
    wrong: list[str]
    missing: list[str]
    unexpected: list[str]
    by: str = ""
    adapter: str = ""

    @property
    def fits(self) -> bool:
        """Whether nothing is wrong, missing or left over."""
        return not (self.wrong or self.missing or self.unexpected)

    @property
    def closeness(self) -> tuple[int, int]:
        """Larger for a state dict that more likely was meant: names that agree, then names at all."""
        return len(self.tensors) - len(self.tied) - len(self.kept), len(self.unexpected)


def describe(model: nn.Module) -> Wanted:
    """List what a model asks for; it is not touched.

    Raises:
        UsageError: some of its tensors have no values to be replaced.

    """
    state = {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
    if empty := [name for name, tensor in state.items() if is_lazy(tensor) or tensor.is_meta]:
        raise UsageError(
            f"the model has weights without values yet ({abbreviated(empty)}): call it once on a batch where it has "
            "lazy layers, and to_empty(device='cpu') where it was made on the meta device"
        )
    own = bare(state)
    held = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}
    hidden = {name: held[original] for name, original in bare(held).items() if original not in state}
    tensors = {name: state[original] for name, original in own.items()}
    return Wanted(tensors, own, _twins({name: held[original] for name, original in bare(held).items()}), hidden)


def compare(tensors: dict[str, Tensor], wanted: Wanted) -> Comparison:
    """Compare a state dict with what is wanted; of its names without a shared prefix, those that fit best."""
    original = bare(tensors)
    comparisons = []
    for prefix in shared_prefixes(original):
        label = {name: original[longer] for name, longer in below(original, prefix).items()}
        comparisons.append(_compare(prefix, {name: tensors[label[name]] for name in label}, label, wanted))
    return max(comparisons, key=lambda comparison: (comparison.fits, comparison.closeness))


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same dtype, shape and values, NaN being NaN."""
    if one.dtype != other.dtype or one.shape != other.shape or not (_plain(one) and _plain(other)):
        return False
    if one.is_floating_point() and one.itemsize == 1:  # float8 has no comparison
        one, other = one.float(), other.float()
    other = other.to(one.device)
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _twins(held: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    groups: dict[int, list[str]] = {}
    for name, tensor in held.items():
        groups.setdefault(id(tensor), []).append(name)
    return {name: tuple(group) for group in groups.values() for name in group}


def _compare(prefix: str, given: dict[str, Tensor], label: dict[str, str], wanted: Wanted) -> Comparison:
    absent = [name for name in wanted.tensors if name not in given]
    surplus = [name for name in given if name not in wanted.tensors]
    common = {name: given[name] for name in wanted.tensors if name in given}
    tied = {name: common[twin] for name in absent for twin in wanted.twins.get(name, ()) if twin in common}
    kept = {name: wanted.tensors[name].clone() for name in absent if _unread(name)}
    ignored = [name for name in surplus if _harmless(name, given[name], wanted)]
    return Comparison(
        prefix,
        {**common, **tied, **kept},
        tied=[wanted.own[name] for name in tied],
        kept=[wanted.own[name] for name in kept],
        ignored=[label[name] for name in ignored],
        wrong=[*_wrong(common, wanted), *_torn(common, wanted)],
        missing=[wanted.own[name] for name in absent if name not in tied and name not in kept],
        unexpected=[label[name] for name in surplus if name not in ignored],
    )


def _unread(name: str) -> bool:
    """Whether it only counts: no evaluation reads it."""
    return name == AVERAGED or name.rpartition(".")[2] == COUNTER


def _harmless(name: str, tensor: Tensor, wanted: Wanted) -> bool:
    """Whether a tensor that is left over can be left out."""
    return name == AVERAGED or (name in wanted.hidden and same(tensor, wanted.hidden[name]))


def _wrong(given: dict[str, Tensor], wanted: Wanted) -> Iterator[str]:
    """Tensors that cannot take the place of the model's, and why."""
    for name, tensor in given.items():
        target = wanted.tensors[name]
        if tensor.shape != target.shape:
            yield f"{wanted.own[name]} is {list(tensor.shape)} instead of {list(target.shape)}"
        elif not _plain(tensor):
            yield f"{wanted.own[name]} is quantized, sparse, sharded or without values"
        elif (tensor.is_complex() and not target.is_complex()) or (_whole(tensor) and not _whole(target)):
            yield f"{wanted.own[name]} is {tensor.dtype} instead of {target.dtype}"


def _torn(given: dict[str, Tensor], wanted: Wanted) -> Iterator[str]:
    """Names of one tensor in the model that have different values in the checkpoint."""
    for group in dict.fromkeys(wanted.twins.values()):
        there = [name for name in group if name in given]
        if any(not same(given[there[0]], given[name]) for name in there[1:]):
            yield f"{' and '.join(wanted.own[name] for name in there)} are tied in the model and differ here"


def _plain(tensor: Tensor) -> bool:
    if type(tensor) not in (Tensor, nn.Parameter):
        return False
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta


def _whole(tensor: Tensor) -> bool:
    """Whether it holds integers or truth values, which for weights are the codes of quantized ones, or a mask."""
    return not (tensor.is_floating_point() or tensor.is_complex())
