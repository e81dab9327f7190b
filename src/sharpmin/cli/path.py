"""`sharpmin path`: the loss on the way between two checkpoints, or beyond them."""

from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from sharpmin.cli.measuring import Options, Setting, figure_name, labelled, measuring
from sharpmin.cli.saving import save

if TYPE_CHECKING:
    from sharpmin import landscape


def path(
    source: str,
    /,
    *checkpoints: str,
    kind: Literal["line", "arc"] = "line",
    points: int = 25,
    alpha: Annotated[list[float] | None, Parameter(consume_multiple=1, negative="")] = None,
    options: Options | None = None,
) -> None:
    """Draw loss and accuracy on the line or arc between two checkpoints (Figures 3 and 7 of the paper).

    Saves Figures/NAME.pdf, .png and .json with every number drawn. Where the task has test data they are drawn too.

    Parameters
    ----------
    source
        Your own task, package.module:function or file.py:function, or a run folder made by sharpmin plot.
    checkpoints
        Two files or folders with weights: alpha = 0 and alpha = 1.
    kind
        The straight line of the paper's Figure 3 or the arc of its Figure 7.
    points
        Number of alphas from -1 to 2.
    alpha
        Where to evaluate instead.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin import plots
    from sharpmin.disk import check_writable
    from sharpmin.ends import pair
    from sharpmin.landscape.paths import default_alphas

    check_writable((options or Options()).out / "Figures")
    alphas = default_alphas(points) if alpha is None else tuple(sorted(alpha))
    with measuring(source, checkpoints, options) as setting:
        names = list(pair(setting.subject).points)
        train, test = curves(setting, alphas, kind)
    named = figure_name(setting.subject, f"{Path(names[0]).name} to {Path(names[1]).name}")
    stem = (options or Options()).out / "Figures" / named
    numbers: dict[str, Any] = {"task": setting.subject.name, "ends": names, "environment": setting.environment}
    numbers |= {"train": asdict(train), "test": None if test is None else asdict(test)}
    print(summary(train, test, names))
    title = described(setting.subject.name, train)
    save(stem, lambda: plots.path(train, test, title=title, ends=(names[0], names[1])), numbers)


def curves(
    setting: Setting, alphas: tuple[float, ...], kind: Literal["line", "arc"]
) -> "tuple[landscape.Path, landscape.Path | None]":
    """The path on the data, and on the test data where there are any."""
    from sharpmin import landscape
    from sharpmin.ends import ends

    subject = setting.subject
    a, b = ends(subject, list(subject.points))

    def along(data: Any, label: str) -> "landscape.Path":
        report = labelled(setting.progress, label)
        objective = subject.objective(data)
        return landscape.path(
            objective, a.theta, b.theta, kind=kind, alphas=alphas, buffers=(a.buffers, b.buffers), progress=report
        )

    train = along(subject.data, "data")
    return train, None if subject.test is None else along(subject.test, "test data")


def described(name: str, curve: "landscape.Path") -> str:
    """The figure's title: what was evaluated, and what BatchNorm did."""
    return f"{name}, {curve.examples} examples, BatchNorm: {curve.batch_norm}"


def summary(train: "landscape.Path", test: "landscape.Path | None", names: list[str]) -> str:
    """The two ends and the highest point between them, in a line each; and which end is not among the points."""
    lines = []
    for curve, label in ((train, "data"), (test, "test data")):
        if curve is None:
            continue
        at = dict(zip(curve.alphas, curve.losses, strict=True))
        ends = [f"{name} {at[alpha]:.4f}" for name, alpha in zip(names, (0.0, 1.0), strict=True) if alpha in at]
        between = [(loss, alpha) for alpha, loss in at.items() if 0 <= alpha <= 1 and isfinite(loss)]
        highest = ["highest between them {:.4f} at alpha {:.3f}".format(*max(between))] if between else []
        lines.append(f"loss on the {label}: {'; '.join(ends + highest)}")
        bad = [f"{alpha:.3f}" for alpha, loss in at.items() if not isfinite(loss)]
        if bad:
            lines.append(f"the loss on the {label} is NaN or infinite at alpha {', '.join(bad)}")
    ends_left_out = [
        f"alpha {end} ({name})" for name, end in zip(names, (0, 1), strict=True) if end not in train.alphas
    ]
    if ends_left_out:
        verb = "is" if len(ends_left_out) == 1 else "are"
        lines.append(
            f"{' and '.join(ends_left_out)} {verb} not among the {len(train.alphas)} points: "
            "--points 4, 7, 10 and so on have both, or name them with --alpha"
        )
    return "\n".join(lines)
