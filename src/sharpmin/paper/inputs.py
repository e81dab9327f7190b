"""The data that a network of the paper is trained on: its own set by default, or another by name or folder."""

from dataclasses import replace
from pathlib import Path

from sharpmin import data, zoo
from sharpmin.data import Examples, Split
from sharpmin.errors import UsageError
from sharpmin.paper.recipes import recipe
from sharpmin.progress import Progress, silent

MADE_UP = "The data are synthetic: made up, not real. These numbers say nothing about real data."


def load_data(
    network: str,
    name: str,
    *,
    train_size: int | None,
    test_size: int | None = None,
    seed: int,
    progress: Progress = silent,
) -> Split:
    """The data set for a network, cut to `train_size` and `test_size` where asked.

    Args:
        network: a network of the paper.
        name: a data set's, "synthetic" for made-up data of the network's shape, or a place on disk.
        train_size: examples of the class-balanced training subset, or None for all.
        test_size: the same of the test set.
        seed: of the subsets.
        progress: told how far a download is.

    Raises:
        SharpminError: there are no such data, or too few of them.

    """
    return cut(whole(network, name, progress=progress), train_size=train_size, test_size=test_size, seed=seed)


def whole(network: str, name: str, *, progress: Progress = silent) -> Split:
    """The data set for a network, all of it."""
    if name == "synthetic":
        like = zoo.default_interface(network)
        return data.synthetic(shape=like.shape, classes=like.classes)
    if name == "speech":
        raise UsageError(
            f"{network} learns speech frames of your own: give --data FILE.npz or a Kaldi folder "
            "(in paper all by --speech; see docs/data.md)"
        )
    if name in data.NAMES:
        return data.load(name, progress=progress)
    if not Path(name).expanduser().exists():
        raise UsageError(f"{name} is no data set ({', '.join(data.NAMES)}), and no file or folder that is there")
    return data.load(recipe(network).data, path=name, progress=progress)


def cut(split: Split, *, train_size: int | None, test_size: int | None = None, seed: int) -> Split:
    """The data set with class-balanced subsets to train and test on, where sizes are given."""

    def some(examples: Examples, size: int | None) -> Examples:
        return examples if size is None else data.subset(examples, size, seed=seed, classes=split.classes)

    return replace(split, train=some(split.train, train_size), test=some(split.test, test_size))
