"""A data set as a run records it: what it is called, how large it is, and which bytes it was.

The record names the run folder (all but the source), and a run is only ever gone on with, or measured, on the data set
whose bytes are the recorded ones.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from sharpmin.data.catalogue import FETCHED
from sharpmin.data.examples import Split


def described(split: Split) -> dict[str, Any]:
    """The data set as recorded."""
    return {
        "name": split.name,
        "source": split.source,
        "synthetic": split.synthetic,
        "train": len(split.train),
        "test": len(split.test),
        "shape": list(split.train.inputs.shape[1:]),
        "classes": split.classes,
        "sha1": fingerprint(split),
    }


def fingerprint(split: Split) -> str:
    """SHA-1 of all inputs and targets: two data sets of one name are not one data set."""
    digest = hashlib.sha1(usedforsecurity=False)
    for examples in (split.train, split.test):
        for tensor in (examples.inputs, examples.targets):
            digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def titled(data: Mapping[str, Any]) -> str:
    """A data set's name as a figure or table has it, from its record in a run's settings.

    Example:
        >>> titled({"name": "synthetic", "synthetic": True})
        'synthetic (made up, not real data)'
        >>> titled({"name": "mnist", "synthetic": False})
        'MNIST'

    """
    titles = {dataset.name: dataset.title for dataset in FETCHED}
    return f"{titles.get(data['name'], data['name'])}{' (made up, not real data)' if data['synthetic'] else ''}"
