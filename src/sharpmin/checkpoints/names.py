"""Names of tensors, and what wrappers around a model put into them.

`DataParallel` and `DistributedDataParallel` add `module.`, `torch.compile` adds `_orig_mod.`, FSDP and activation
checkpointing add longer ones, each at the level it wraps: `model._orig_mod.layer1.module.weight` is
`model.layer1.weight`. A Lightning module adds the attribute that holds the model, usually `model.`.
"""

from collections.abc import Iterable, Iterator

WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}


def bare(names: Iterable[str]) -> dict[str, str]:
    """Each name without its wrappers, and the name it was; all as they were where two would become one.

    Example:
        >>> bare(["module._orig_mod.0.weight", "n_averaged"])
        {'0.weight': 'module._orig_mod.0.weight', 'n_averaged': 'n_averaged'}

    """
    names = list(names)
    found = {_unwrapped(name): name for name in names}
    return found if len(found) == len(names) else {name: name for name in names}


def below(names: Iterable[str], prefix: str) -> dict[str, str]:
    """The names that begin with `prefix.`: what follows, and the name it was; all as they are for no prefix."""
    if not prefix:
        return {name: name for name in names}
    return {name.removeprefix(f"{prefix}."): name for name in names if name.startswith(f"{prefix}.")}


def shared_prefixes(names: Iterable[str]) -> Iterator[str]:
    """Every prefix that all names have, shortest first, beginning with none at all.

    Example:
        >>> list(shared_prefixes(["net.body.0.weight", "net.body.0.bias"]))
        ['', 'net', 'net.body', 'net.body.0']

    """
    folders = [name.split(".")[:-1] for name in names]
    yield ""
    for depth, segments in enumerate(zip(*folders, strict=False), start=1):
        if len(set(segments)) > 1:
            return
        yield ".".join(folders[0][:depth])


def abbreviated(names: list[str], *, most: int = 10) -> str:
    """List the names; where there are many more than `most`, the first of them and how many follow."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _unwrapped(name: str) -> str:
    *path, leaf = name.split(".")
    return ".".join([*(segment for segment in path if segment not in WRAPPERS), leaf])
