"""Which run folders are trials of one experiment: they have two minimizers each, and differ in nothing but their seed.

A mean over runs of other settings says nothing, and `runs/F1-*` soon names more than five trials: the single trainings
of other figures, and pairs of another budget.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpmin.errors import UsageError
from sharpmin.paper.jobs import REGIMES
from sharpmin.subjects import points_of

TOLD = 3  # differences named in an error


def pairs(folders: Sequence[Path]) -> tuple[Path, ...]:
    """Those that are no single trainings; what is no run folder stays, for a later error to name."""
    return tuple(folder for folder in folders if points_of(folder) == REGIMES)


def check_alike(settings: Mapping[Any, Mapping[str, Any]]) -> None:
    """Raise a UsageError where runs, by their folders, are not trials of one experiment: they have other settings."""
    first = next(iter(settings), None)
    for folder, other in settings.items():
        if different := list(differences(settings[first], other)):
            raise UsageError(
                f"{first} and {folder} differ in more than the seed ({'; '.join(different[:TOLD])}): "
                "give the runs of one experiment"
            )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """The settings in which two runs differ, seeds aside, in words.

    Example:
        >>> list(differences({"network": "F1", "seed": 0}, {"network": "C1", "seed": 1}))
        ['network: F1 and C1']

    """
    first, second = without_seeds(one), without_seeds(other)
    for key in dict.fromkeys((*first, *second)):
        if first.get(key) != second.get(key):
            yield f"{key}: {first.get(key)} and {second.get(key)}"


def without_seeds(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings as one level, without what a seed changes.

    Example:
        >>> without_seeds({"network": "F1", "seed": 3, "small_batch": {"batch_size": 256, "seed": 3}})
        {'network': 'F1', 'small_batch.batch_size': 256}

    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and key != "checkpoints":
            found |= without_seeds(value, f"{prefix}{key}.")
        elif key not in ("seed", "checkpoints"):
            found[prefix + key] = value
    if any(settings.get(size) is not None for size in ("train_size", "test_size")):  # subsets are drawn by the seed
        found.pop("data.sha1", None)
    return found
