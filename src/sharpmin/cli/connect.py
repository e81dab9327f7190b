"""`sharpmin connect`: a curve of low loss between two checkpoints, beside the straight line."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.cli.measuring import Options, Setting, figure_name, labelled, measuring, show
from sharpmin.cli.saving import save

if TYPE_CHECKING:
    from torch import Tensor

    from sharpmin.landscape import Curve, CurveConfig, CurveState
    from sharpmin.subjects import Subject

TRAINING = Group("The curve and its training", sort_key=1)


def connect(
    source: str,
    /,
    *checkpoints: str,
    kind: Annotated[Literal["bezier", "polygon"], Parameter(group=TRAINING)] = "bezier",
    bends: Annotated[int, Parameter(group=TRAINING)] = 1,
    epochs: Annotated[int, Parameter(group=TRAINING)] = 20,
    batch_size: Annotated[int, Parameter(group=TRAINING)] = 256,
    optimizer: Annotated[Literal["adam", "sgd"], Parameter(name=["--optimizer", "--solver"], group=TRAINING)] = "adam",
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
    optimizer
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
    from sharpmin.disk import check_writable
    from sharpmin.ends import aligned, ends, pair
    from sharpmin.kept_curves import trained
    from sharpmin.landscape.barrier import unit_grid

    check_writable((options or Options()).out / "Figures")
    config = landscape.CurveConfig(
        kind=kind,
        bends=bends,
        epochs=epochs,
        batch_size=batch_size,
        solver=optimizer,
        learning_rate=learning_rate,
        seed=seed,
    )
    unit_grid(points)  # what makes no sense should be known before the training
    with measuring(source, checkpoints, options) as setting:
        subject, matched = pair(setting.subject), None
        if align:
            subject, matched = aligned(subject, seed=seed, progress=setting.progress)
        a, b = (end.theta for end in ends(subject, list(subject.points)))
        name, state = trained(subject, a, b, config, progress=setting.progress)
        train, test = evaluated(setting, subject, a, b, state, config, points=points)
    first, second = subject.points
    named = figure_name(subject, f"{Path(first).name} to {Path(second).name} {'aligned ' if align else ''}{kind}")
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
    title = f"{subject.name}{', aligned' if align else ''}, {train.examples} examples, BatchNorm: {train.batch_norm}"
    show(table(train, test))
    save(stem, lambda: plots.curve(train, test, title=title, ends=(first, second)), kept)
    print(f"The curve is kept as {kept['curve']}")


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
