"""What the command line measures: f, and named points of its weight space.

A subject is made of a run folder of ours, whose points are "SB" and "LB" or, of a single training, "solution"; or of
somebody's task and checkpoints, named after their files. The points share one model: `at` loads a point's weights and
buffers into it, so no more than one is in memory, and its running statistics and frozen weights are the point's own.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sharpmin.arithmetic import Precision
from sharpmin.batching import Data
from sharpmin.batchnorm import Policy
from sharpmin.checkpoints import Fit, load_into, parse_place, read_checkpoint
from sharpmin.checkpoints.names import abbreviated
from sharpmin.data import Split
from sharpmin.data.record import fingerprint
from sharpmin.disk import having, read_object, readable
from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import CheckpointError, RunError, UsageError
from sharpmin.journal import Journal
from sharpmin.losses import Loss, classification
from sharpmin.objective import Objective
from sharpmin.paper.jobs import REGIMES
from sharpmin.rows import as_file
from sharpmin.runs import Run, open_run
from sharpmin.tasks import load_task
from sharpmin.weights import matching
from sharpmin.zoo import build

SINGLE = {"solution": "solution"}
TRAINED = ("network", "seed", "train_size", "data")
"""The settings by which a run's data are found again."""
Load = Callable[[nn.Module], object]


@dataclass(frozen=True)
class Evaluation:
    """How f is evaluated; the options of `Objective` by the same names, with parameters as patterns."""

    batch_norm: Policy | None = None
    batch_size: int | None = None
    device: torch.device | str | None = None
    precision: Precision = "float32"
    only: Sequence[str] | None = None
    group: Group = ALONE


@dataclass(frozen=True, eq=False)
class Subject:
    """f, and named points of its weight space.

    Attributes:
        name: the network of the paper, or the task as typed.
        model: what the points are loaded into.
        data: what f is the mean over.
        loss: of a batch.
        test: held-out data, or None.
        calibration: for "recalibrate".
        points: by name, what loads it into the model.
        run: where results go.
        evaluation: how f is evaluated.
        network: the paper's, or None.

    """

    name: str
    model: nn.Module
    data: Data
    loss: Loss
    test: Data | None
    calibration: Data | None
    points: Mapping[str, Load]
    run: Run
    evaluation: Evaluation
    network: str | None = None

    def at(self, point: str) -> Objective:
        """F at a point: the model holds its weights and buffers, `objective.theta` is where it is."""
        self.points[point](self.model)
        return self.objective(self.data)

    def objective(self, data: Data) -> Objective:
        """The loss over these data, of the model as it stands; statistics come from the training data."""
        how = self.evaluation
        return Objective(
            self.model,
            data,
            loss=self.loss,
            batch_norm=how.batch_norm,
            batch_size=how.batch_size,
            device=how.device,
            precision=how.precision,
            parameters=None if how.only is None else matching(self.model, how.only),
            calibration=self.data if self.calibration is None else self.calibration,
            group=how.group,
        )

    def around(self, point: str) -> Objective:
        """F around a point, with a gradient: under "recalibrate" its statistics are estimated there, and held."""
        return self.at(point).differentiable()

    def journal(self, point: str) -> Journal:
        """The same, with what is evaluated kept in the run folder until it is told to forget."""
        return Journal(self.around(point), self.run.folder / f"unfinished-{as_file(point)}")

    def described(self, objective: Objective) -> dict[str, Any]:
        """How f is evaluated, as kept beside a result."""
        settings = {key: getattr(objective, key) for key in ("batch_norm", "batch_size", "precision")}
        return {**settings, "only": self.evaluation.only and list(self.evaluation.only)}


def is_single(settings: Mapping[str, Any]) -> bool:
    """Whether a run of these settings is a single training, which has one minimizer and not two."""
    return "config" in settings


def check_pair(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise a RunError for a single training where two minimizers are needed."""
    if is_single(settings):
        raise RunError(f"{folder} is a single training and has no two minimizers: give run folders of sharpmin plot")


def points_of(folder: Path) -> dict[str, str]:
    """The points of a run by name, and their files: two minimizers, or the one of a single training."""
    file = folder / "settings.json"
    return SINGLE if file.exists() and is_single(read_object(file)) else REGIMES


def are_made_up(folders: Iterable[Path]) -> bool:
    """Whether the data of any of these runs of ours are synthetic."""
    found = [read_object(folder / "settings.json").get("data") for folder in folders]
    return any(isinstance(data, dict) and data.get("synthetic") for data in found)


def settings_of(
    folder: Path, points: Mapping[str, str] = REGIMES, needed: Sequence[str] = ("network",)
) -> dict[str, Any]:
    """The settings of a finished run of ours that has these points, with the keys needed.

    Raises:
        RunError: the folder is not a run, or its training is not finished, or its settings are damaged.

    """
    file = folder / "settings.json"
    if not file.exists():
        raise RunError(f"{folder} is not a run folder (no settings.json): give one that sharpmin plot made")
    settings = read_object(file)
    if points == REGIMES:
        check_pair(folder, settings)
    missing = [name for name in points.values() if not (folder / f"{name}.safetensors").exists()]
    if missing:
        verb = "train" if is_single(settings) else "plot"
        raise RunError(f"{folder} is not finished ({', '.join(missing)} missing): run its sharpmin {verb} again")
    with readable(file):
        having(settings, needed, "it")
        having(settings.get("data", {}), ("name", "synthetic", "sha1") if "data" in needed else (), "data")
    return settings


def of_run(folder: Path, split: Split, evaluation: Evaluation, points: Mapping[str, str] | None = None) -> Subject:
    """The minimizers of a run that was trained on `split`, or these points; f is the loss on its training set.

    Raises:
        RunError: not a finished run, or a run on other data.

    """
    named = points or points_of(folder)
    settings = settings_of(folder, named, TRAINED)
    if settings["data"]["sha1"] != fingerprint(split):
        raise RunError(f"{folder} was trained on other data than {split.name} as it is here: name its own with --data")
    network, run = settings["network"], Run(folder)
    model = build(network, seed=0, shape=split.train.inputs.shape[1:], classes=split.classes)

    def loading(name: str) -> Load:
        return lambda model: model.load_state_dict(run.load(name)[0])

    loads = {point: loading(name) for point, name in named.items()}
    return Subject(network, model, split.train, classification, split.test, None, loads, run, evaluation, network)


def of_task(name: str, checkpoints: Sequence[str], evaluation: Evaluation, *, runs: Path) -> Subject:
    """A task's model at each of the checkpoints, or at the weights it was made with.

    Args:
        name: of the task, `package.module:function`.
        checkpoints: files or folders, each perhaps with `:key`.
        evaluation: how f is evaluated.
        runs: the folder below which results go, one folder for each task and set of checkpoints.

    Raises:
        SharpminError: the task cannot be made, a checkpoint cannot be read or does not fit.

    """
    task = load_task(name)
    points = {label: loader(place) for label, place in zip(labels(checkpoints), checkpoints, strict=True)}
    # what does not fit should be known before hours of work
    check_alike({label: load(task.model) for label, load in points.items()})
    described = {"format": 1, "task": name, "checkpoints": {p: fingerprint_of(p) for p in checkpoints}}
    run = open_run(runs, name.rpartition(":")[0].replace("/", ".").removesuffix(".py").strip("."), described)
    made: Mapping[str, Load] = points or {"weights": lambda model: None}
    return Subject(name, task.model, task.data, task.loss, task.test, task.calibration, made, run, evaluation)


def check_alike(found: Mapping[str, Fit]) -> None:
    """Raise a CheckpointError where some are adapters and others whole models: the base would be that of the others."""
    adapters = [label for label, fitted in found.items() if fitted.adapter]
    whole = [label for label, fitted in found.items() if not fitted.adapter]
    if adapters and whole:
        raise CheckpointError(
            f"{abbreviated(adapters)} is an adapter's weights and {abbreviated(whole)} a whole model's, whose base the "
            "adapter would be measured on: give adapters alone, or save each whole, "
            "torch.save(peft_model.state_dict(), 'weights.pt')"
        )


def loader(place: str) -> Callable[[nn.Module], Fit]:
    """What loads this checkpoint into a model."""
    path, key = parse_place(place)
    return lambda model: load_into(model, read_checkpoint(path), key=key)


def labels(checkpoints: Sequence[str]) -> list[str]:
    """Short names: the files' own, or where two are alike the whole text typed.

    Example:
        >>> labels(["runs/a/last.pt", "runs/b/best.pt"]), labels(["a/last.pt", "b/last.pt"])
        (['last', 'best'], ['a/last.pt', 'b/last.pt'])

    """
    if len(set(checkpoints)) < len(checkpoints):
        raise UsageError("the same checkpoint is named twice")
    short = [Path(text).stem for text in checkpoints]
    return short if len(set(short)) == len(short) else list(checkpoints)


def fingerprint_of(place: str) -> str:
    """SHA-256 of a checkpoint's files."""
    path, key = parse_place(place)
    digest = hashlib.sha256((key or "").encode())
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]
