"""The numbers Keskar et al. published, as data: `keskar2017.json` names where each was read."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class PublishedCurve:
    """One panel of Figure 3, read from the vector paths of the authors' PDF; accuracies in percent."""

    alphas: tuple[float, ...]
    train_loss: tuple[float, ...]
    test_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    test_accuracy: tuple[float, ...]


@cache
def published() -> dict[str, Any]:
    """Everything in `keskar2017.json`."""
    return json.loads(files("sharpmin.paper").joinpath("keskar2017.json").read_text())


def figure_3(network: str) -> PublishedCurve | None:
    """The authors' parametric curve of C1, C2, C3 or C4; None for a network without one.

    Example:
        >>> figure_3("C1").test_accuracy[8]
        80.52

    """
    curves = published()["figure_3_parametric_curves"]
    if network not in curves:
        return None
    curve = {key: tuple(values) for key, values in curves[network].items()}
    return PublishedCurve(curve.pop("alpha"), **curve)
