"""`sharpmin plane`: the loss on a plane around a checkpoint, through three, or along a training trajectory."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from sharpmin.cli.measuring import Options, figure_name, labelled, measuring
from sharpmin.cli.saving import save
from sharpmin.errors import UsageError

if TYPE_CHECKING:
    from sharpmin import landscape

MANY: Any = {"consume_multiple": 1, "negative": ""}


def plane(
    source: str,
    /,
    *checkpoints: str,
    at: str | None = None,
    trajectory: Annotated[bool, Parameter(negative="")] = False,
    lines: int | None = None,
    normalisation: Literal["filter", "layer", "none"] = "filter",
    seed: int = 0,
    extent: Annotated[list[str] | None, Parameter(name="--range", **MANY)] = None,
    factor: float = 10.0,
    points: Annotated[list[int] | None, Parameter(**MANY)] = None,
    on: Literal["data", "test"] = "data",
    options: Options | None = None,
) -> None:
    """Draw the loss on a plane in weight space: contours around one checkpoint, through three, or of a trajectory.

    One checkpoint gives a plane along two random directions, three give the plane through them. Saves
    Figures/NAME.pdf, .png and .json with every number drawn. Points are kept in the run folder as they are computed:
    an interrupted plane goes on where it was, a finished one is only drawn.

    Parameters
    ----------
    source
        Your own task, package.module:function or file.py:function, or a run folder made by sharpmin plot.
    checkpoints
        Of your own task: one, three, or with --trajectory all of a training in its order.
    at
        The point to draw a random plane around, where there are several: SB or LB of a run folder.
    trajectory
        Draw the plane that the checkpoints stay nearest to (PCA about the last one), and the way through it.
    lines
        Draw so many random lines through one point instead of a plane, with their mean and range.
    normalisation
        Of random directions: filter by filter or layer by layer as long as the weights, or none.
    seed
        Of the random directions.
    extent
        auto: as far as the loss grows by --factor; R: from -R to R on both axes; A B C D: alpha from A to B and beta
        from C to D. By default 1 around one point, else the checkpoints and a quarter more on each side.
    factor
        Of --range auto: the loss at the ends of the axes over the loss in the middle.
    points
        Values along alpha and along beta, or one number for both; 25 by default.
    on
        Evaluate on the data, or on the task's test data.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin.disk import check_writable
    from sharpmin.surveying import Asked, surveyed

    size = sizes(points)
    check_writable((options or Options()).out / "Figures")
    with measuring(source, checkpoints, options) as setting:
        kind, names = chosen(list(setting.subject.points), at=at, trajectory=trajectory, lines=lines)
        words = None if extent is None else tuple(extent)
        asked = Asked(kind, tuple(names), size, words, factor, on, normalisation, seed, lines)
        found = surveyed(setting.subject, asked, progress=labelled(setting.progress, on))
    short = [Path(name).name for name in names]
    named = {"trajectory": f"{short[0]} to {short[-1]}-trajectory", "lines": f"{short[0]}-lines"}
    what = named.get(kind, f"{' '.join(short)}-plane") + ("-test" if on == "test" else "")
    stem = figure_name(setting.subject, what)
    numbers = {"task": setting.subject.name, "asked": asdict(asked), "environment": setting.environment}
    finish(found, (options or Options()).out / "Figures" / stem, numbers)


def chosen(names: list[str], *, at: str | None, trajectory: bool, lines: int | None) -> tuple[Any, list[str]]:
    """What is drawn, and through which points."""
    several = f"choose one with --at, among {', '.join(names)}"
    if trajectory and (at is not None or lines is not None):
        raise UsageError("--trajectory takes all of the checkpoints: give it without --at and --lines")
    if at is not None and at not in names:
        raise UsageError(f"there is no point {at!r}: {several}")
    if trajectory:
        return "trajectory", names
    one = [at] if at is not None else names
    if lines is not None:
        if len(one) != 1:
            raise UsageError(f"lines go through one point: {several}")
        return "lines", one
    if len(one) not in (1, 3):
        raise UsageError(f"a plane goes around one point, through three, or with --trajectory along many: {several}")
    return ("random" if len(one) == 1 else "checkpoints"), one


def sizes(points: Sequence[int] | None) -> tuple[int, int]:
    """Values along alpha and along beta."""
    if not points:
        return 25, 25
    if len(points) > 2:
        raise UsageError("--points takes one number, or two: along alpha and along beta")
    return points[0], points[-1]


def finish(found: "landscape.Plane | landscape.Lines", stem: Path, numbers: dict[str, Any]) -> None:
    """Say what was found, and save the figure with its numbers."""
    from sharpmin import landscape, plots

    random = "" if found.normalisation is None else f", normalisation: {found.normalisation}, seed {found.seed}"
    title = f"{numbers['task']}, {found.examples} examples, BatchNorm: {found.batch_norm}{random}"
    kind = "plane" if isinstance(found, landscape.Plane) else "lines"
    print("\n".join(summary(found)))
    save(stem, lambda: getattr(plots, kind)(found, title=title), {**numbers, kind: asdict(found)})


def summary(found: "landscape.Plane | landscape.Lines") -> list[str]:
    """The lowest and the highest loss and where, and what else there is to know."""
    second = [f"beta {beta:.4g}" for beta in getattr(found, "betas", ())]
    rows = zip(second or [f"line {n + 1}" for n in range(len(found.losses))], found.losses, strict=True)
    losses = [(loss, f"alpha {a:.4g}, {b}") for b, row in rows for a, loss in zip(found.alphas, row, strict=True)]
    finite = sorted(pair for pair in losses if isfinite(pair[0]))
    said = (
        ["{} loss {:.4f} at {}".format(*end) for end in (("lowest", *min(finite)), ("highest", *max(finite)))]
        if finite
        else []
    )
    if len(finite) < len(losses):
        said.append(f"the loss is NaN or infinite at {len(losses) - len(finite)} of {len(losses)} points")
    if found.factor is not None:
        said.append(f"range: as far as the loss grows to {found.factor:g} times that in the middle")
    if explained := getattr(found, "explained", None):
        farthest = max(found.marks, key=lambda mark: mark.distance)  # type: ignore[union-attr]
        said.append(
            f"the plane holds {sum(explained):.1%} of the trajectory's squared distances from its end "
            f"({explained[0]:.1%} and {explained[1]:.1%}); farthest off it: {farthest.name}, by {farthest.distance:.4g}"
        )
    return said
