"""The two minimizers of a finished run, read back from its folder and ready to be measured.

Tables 3 and 4 of Keskar et al. 2017 are Metric 2.1 at these two points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sharpmin.data import Split
from sharpmin.errors import RunError
from sharpmin.measures.sharpness import Sharpness, Start, sharpness
from sharpmin.objective import DEFAULT_BATCH, Objective
from sharpmin.paper.parametric import fingerprint
from sharpmin.progress import Progress, silent
from sharpmin.runs import Run, read_json
from sharpmin.weights import layout
from sharpmin.zoo import build

REGIMES = {"SB": "small_batch", "LB": "large_batch"}


@dataclass(frozen=True, eq=False)
class Minimizers:
    """f on the training set of a run, and the two points it was trained to.

    Attributes:
        network: of the paper.
        objective: f, with BatchNorm on the evaluation batch.
        thetas: by "SB" and "LB", [n] each.

    """

    network: str
    objective: Objective
    thetas: dict[str, Tensor]


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings of a finished run.

    Raises:
        RunError: the folder is not a run, or its training is not finished.

    """
    if not (folder / "settings.json").exists():
        raise RunError(f"{folder} is not a run folder (no settings.json): give one that sharpmin plot made")
    missing = [name for name in REGIMES.values() if not (folder / f"{name}.safetensors").exists()]
    if missing:
        raise RunError(f"{folder} is not finished ({', '.join(missing)} missing): run its sharpmin plot again")
    return read_json(folder / "settings.json")


def read_minimizers(
    folder: Path, split: Split, *, batch_size: int = DEFAULT_BATCH, device: torch.device | str = "cpu"
) -> Minimizers:
    """Read the minimizers of a run that was trained on `split`.

    Raises:
        RunError: not a finished run, or a run on other data.

    """
    settings = settings_of(folder)
    if settings["data"]["sha1"] != fingerprint(split):
        raise RunError(f"{folder} was trained on other data than {split.name} as it is here: name its own with --data")
    network = settings["network"]
    model = build(network, seed=0, shape=split.train.inputs.shape[1:], classes=split.classes)
    thetas = {regime: layout(model).flatten(Run(folder).load(name)[0]).to(device) for regime, name in REGIMES.items()}
    return Minimizers(
        network, Objective(model, split.train, batch_norm="batch", batch_size=batch_size, device=device), thetas
    )


def measure_sharpness(
    points: Minimizers,
    *,
    epsilons: Sequence[float] = (1e-3, 5e-4),
    subspace: int | None = None,
    start: Start = "corner",
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[tuple[str, Sharpness]]:
    """Metric 2.1 at both minimizers for each epsilon, one after the other."""
    for epsilon in epsilons:
        for regime, theta in points.thetas.items():
            yield (
                regime,
                sharpness(
                    points.objective,
                    theta=theta,
                    epsilon=epsilon,
                    subspace=subspace,
                    start=start,
                    seed=seed,
                    progress=labelled(progress, f"{regime}, epsilon {epsilon:g}"),
                ),
            )


def labelled(progress: Progress, label: str) -> Progress:
    """The same progress under another task's name."""

    def told(task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
        progress(f"{task}, {label}", done, total, unit=unit, note=note)

    return told
