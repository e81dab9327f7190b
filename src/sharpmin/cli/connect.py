"""`sharpmin connect`: a curve of low loss between two checkpoints, beside the straight line."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.cli.align import aligned, ends, pair
from sharpmin.cli.earlier import keep_earlier
from sharpmin.cli.measuring import Options, Setting, figure_name, labelled, measuring, show

if TYPE_CHECKING:
    from torch import Tensor

    from sharpmin.landscape import Curve, CurveConfig, CurveState
    from sharpmin.objective import Objective
    from sharpmin.runs import Run
    from sharpmin.subjects import Subject

TRAINING = Group("The curve and its training", sort_key=1)
MOMENT = "moment:"


def connect(
    source: str,
    /,
    *checkpoints: str,
    kind: Annotated[Literal["bezier", "polygon"], Parameter(group=TRAINING)] = "bezier",
    bends: Annotated[int, Parameter(group=TRAINING)] = 1,
    epochs: Annotated[int, Parameter(group=TRAINING)] = 20,
    batch_size: Annotated[int, Parameter(group=TRAINING)] = 256,
    solver: Annotated[Literal["adam", "sgd"], Parameter(group=TRAINING)] = "adam",
    learning_rate: Annotated[float, Parameter(group=TRAINING)] = 1e-3,
    seed: Annotated[int, Parameter(group=TRAINING)] = 0,
    align: Annotated[bool, Parameter(negative="")] = False,
    points: int = 25,
    options: Options | None = None,
) -> None:
    """Train a curve of low loss between two checkpoints (Garipov et al. 2018): are the two minima connected?

    Saves Figures/NAME.pdf, .png and .json with every number drawn, and prints the barrier on the curve beside that on
    the straight line. The curve is kept in the run folder: interrupted, its training goes on where it was.

    Parameters
    ----------
    source
        A run folder made by sharpmin plot, or your own task: package.module:function or file.py:function.
    checkpoints
        Of your own task: two files or folders with weights, the ends of the curve.
    kind
        A Bezier curve, or a chain of straight pieces.
    bends
        Between the ends; one in the paper.
    epochs
        Passes over the data.
    batch_size
        Examples per step, which BatchNorm normalises together; data of your own that come in batches keep theirs.
    solver
        Adam, or SGD with momentum 0.9.
    learning_rate
        Of the first half; it then falls to a hundredth.
    seed
        Of the order of the examples and of the places on the curve.
    align
        First permute the second checkpoint's hidden units to match the first, as sharpmin align does.
    points
        Where the curve and the line are evaluated, both ends included.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin import landscape, plots
    from sharpmin.disk import check_writable, write_json
    from sharpmin.landscape.barrier import unit_grid

    check_writable((options or Options()).out / "Figures")
    config = landscape.CurveConfig(
        kind=kind,
        bends=bends,
        epochs=epochs,
        batch_size=batch_size,
        solver=solver,
        learning_rate=learning_rate,
        seed=seed,
    )
    unit_grid(points)  # what makes no sense should be known before the training
    with measuring(source, checkpoints, options) as setting:
        subject, matched = pair(setting.subject), None
        if align:
            subject, matched = aligned(subject, seed=seed, progress=setting.progress)
        a, b = (end.theta for end in ends(subject))
        name, state = trained(setting, subject, a, b, config)
        train, test = evaluated(setting, subject, a, b, state, config, points=points)
    first, second = subject.points
    named = figure_name(subject, f"{Path(first).stem} to {Path(second).stem} {'aligned ' if align else ''}{kind}")
    stem = (options or Options()).out / "Figures" / named
    kept = {
        "task": subject.name,
        "ends": [first, second],
        "aligned": matched and {"before": matched.before, "after": matched.after, "moved": matched.moved},
        "curve": str(subject.run.folder / f"{name}.safetensors"),
        "train": numbers(train),
        "test": None if test is None else numbers(test),
        "environment": setting.environment,
    }
    keep_earlier(stem, kept)
    write_json(stem.with_suffix(".json"), kept)
    title = f"{subject.name}{', aligned' if align else ''}, {train.examples} examples, BatchNorm: {train.batch_norm}"
    figure = plots.curve(train, test, title=title, ends=(first, second))
    plots.save(figure, stem.with_suffix(".pdf"), stem.with_suffix(".png"))
    show(table(train, test))
    print(f"Plot saved as {stem}.pdf, .png and .json; the curve as {subject.run.folder / name}.safetensors")


def trained(
    setting: Setting, subject: "Subject", a: "Tensor", b: "Tensor", config: "CurveConfig"
) -> "tuple[str, CurveState]":
    """The trained curve, and its name in the run folder: read, or trained on from its last checkpoint."""
    from sharpmin import landscape

    objective, run = subject.objective(subject.data), subject.run
    name = "curve-" + identity(objective, a, b, config)
    state = known(run, name) or known(run, f"{name}.checkpoint")
    state = landscape.train_curve(
        objective,
        a,
        b,
        config,
        state=state,
        after_epoch=lambda state: keep(run, f"{name}.checkpoint", state, config),
        progress=setting.progress,
    )
    keep(run, name, state, config)
    run.drop(f"{name}.checkpoint")
    return name, state


def identity(objective: "Objective", a: "Tensor", b: "Tensor", config: "CurveConfig") -> str:
    """A hash of all that the curve depends on; the data by the losses at its ends."""
    evaluation = [objective.batch_norm, objective.precision, objective.device.type, objective.layout.names]
    losses = [f"{objective.value(end):.6g}" for end in (a, b)]
    digest = hashlib.sha256(json.dumps([asdict(config), evaluation, losses]).encode())
    for end in (a, b):
        digest.update(end.cpu().numpy().tobytes())
    return digest.hexdigest()[:10]


def keep(run: "Run", name: str, state: "CurveState", config: "CurveConfig") -> None:
    """Write the state of a training."""
    tensors = {"bends": state.bends, **{MOMENT + key: value for key, value in state.moments.items()}}
    kept = {"config": asdict(config), "losses": state.losses, "seconds": state.seconds}
    run.save(name, tensors, metadata={"training": json.dumps(kept)})


def known(run: "Run", name: str) -> "CurveState | None":
    """Read the state of a training, where there is one."""
    from sharpmin.disk import readable
    from sharpmin.landscape import CurveState

    file = run.folder / f"{name}.safetensors"
    if not file.exists():
        return None
    tensors, metadata = run.load(name)
    with readable(file):
        kept = json.loads(metadata["training"])
        moments = {key.removeprefix(MOMENT): value for key, value in tensors.items() if key.startswith(MOMENT)}
        return CurveState(tensors["bends"], moments, tuple(kept["losses"]), kept["seconds"])


def evaluated(
    setting: Setting,
    subject: "Subject",
    a: "Tensor",
    b: "Tensor",
    state: "CurveState",
    config: "CurveConfig",
    *,
    points: int,
) -> "tuple[Curve, Curve | None]":
    """The curve on the data, and on the test data where there are any."""
    from sharpmin import landscape

    def along(data: Any, label: str) -> "Curve":
        report = labelled(setting.progress, label)
        objective = subject.objective(data)
        return landscape.evaluate_curve(objective, a, b, state, config, points=points, progress=report)

    return along(subject.data, "data"), None if subject.test is None else along(subject.test, "test data")


def numbers(curve: "Curve") -> dict[str, Any]:
    """All of a curve but its bends, which are in the run folder, and its barriers."""
    plain = {field.name: getattr(curve, field.name) for field in fields(curve) if field.name != "bends"}
    found = {"curve": curve.barrier, "line": curve.line_barrier}
    heights = {
        way: {key: getattr(barrier, key) for key in ("height", "alpha", "above_higher_end", "error_height")}
        for way, barrier in found.items()
    }
    return {**plain, "config": asdict(curve.config), "line": asdict(curve.line), "barriers": heights}


def table(train: "Curve", test: "Curve | None") -> Any:
    """A row a data set and way, with the policy and what the curve took."""
    from rich.table import Table

    from sharpmin.history import epochs_in_words

    columns = ("", "", "BatchNorm", "f(a)", "f(b)", "barrier", "at", "above higher end", "error barrier")
    shown = Table(*columns, box=None)
    for label, curve in (("data", train), ("test data", test)):
        if curve is None:
            continue
        for way, barrier in (("line", curve.line_barrier), (curve.config.kind, curve.barrier)):
            losses = [f"{loss:.4g}" for loss in (curve.losses[0], curve.losses[-1], barrier.height)]
            error = "-" if barrier.error_height is None else f"{barrier.error_height:.2%}"
            place = (f"{barrier.alpha:.3f}", f"{barrier.above_higher_end:.4g}", error)
            shown.add_row(label, way, curve.batch_norm, *losses, *place)
    trained = f"{epochs_in_words(train.config.epochs)} of {train.config.solver}, {train.seconds:.0f} s"
    shown.caption = f"the {train.config.kind} was trained with BatchNorm: {train.training_batch_norm}, {trained}"
    shown.caption_justify = "left"
    return shown
