"""The numbers Keskar et al. published, as data: `keskar2017.json` names where each was read."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from sharpmin.errors import UsageError


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
    return json.loads(files("sharpmin.paper").joinpath("keskar2017.json").read_text(encoding="utf-8"))


def figure_3(network: str) -> PublishedCurve:
    """The authors' parametric curve of C1, C2, C3 or C4.

    Raises:
        UsageError: the authors published no curve of this network.

    Example:
        >>> figure_3("C1").test_accuracy[8]
        80.52

    """
    curves = published()["figure_3_parametric_curves"]
    if network not in curves:
        raise UsageError(f"there is no published curve of {network}: --published works for {', '.join(curves)}")
    curve = {key: tuple(values) for key, values in curves[network].items()}
    return PublishedCurve(curve.pop("alpha"), **curve)


def difference(curve: PublishedCurve, alphas: Sequence[float], accuracies: Sequence[float | None]) -> float:
    """How far train accuracies are from the authors' between the minimizers, alpha in [0, 1].

    Args:
        curve: theirs; between its points it is taken as straight.
        alphas: of ours.
        accuracies: ours on the training set, as fractions.

    Returns:
        The root mean square over our alphas in [0, 1], in percentage points; NaN where there is none, or no accuracy.

    Example:
        >>> curve = figure_3("C1")
        >>> round(difference(curve, curve.alphas, [percent / 100 - 0.01 for percent in curve.train_accuracy]), 6)
        1.0

    """
    at, ours = np.array(alphas, dtype=float), 100 * np.array(accuracies, dtype=float)  # None becomes NaN
    between = (at >= 0) & (at <= 1)
    apart = (ours - np.interp(at, curve.alphas, curve.train_accuracy))[between]
    return float(np.sqrt(np.mean(apart**2))) if len(apart) else math.nan


def accuracy_cell(network: str, part: str, regime: str) -> tuple[float, float] | None:
    """Table 2: mean and standard deviation of the accuracy in percent, on the "train" or "test" part.

    Example:
        >>> accuracy_cell("C1", "test", "SB")
        (80.04, 0.12)

    """
    row = published()["table_2_accuracy_percent"].get(network)
    return row and (row[part][regime]["mean"], row[part][regime]["std"])


def sharpness_row(network: str, *, epsilon: float, subspace: int | None) -> dict[str, tuple[float, float]] | None:
    """Table 3 (full space) or Table 4 (100 random dimensions): mean and standard deviation for "SB" and "LB".

    Example:
        >>> sharpness_row("F1", epsilon=1e-3, subspace=None)["LB"]
        (205.14, 69.52)

    """
    tables = {None: "table_3_sharpness_full_space", 100: "table_4_sharpness_random_subspace_dim_100"}
    columns = {1e-3: "1e-3", 5e-4: "5e-4"}
    if subspace not in tables or epsilon not in columns:
        return None
    row = published()[tables[subspace]].get(network)
    return row and {regime: (cell["mean"], cell["std"]) for regime, cell in row[columns[epsilon]].items()}
