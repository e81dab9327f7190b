"""`sharpmin align`: one checkpoint's hidden units in the order of another's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sharpmin.cli.measuring import Options, Setting, labelled, measuring, show
from sharpmin.errors import UsageError

if TYPE_CHECKING:
    from sharpmin.alignment import Alignment
    from sharpmin.landscape import Barrier
    from sharpmin.subjects import Subject

ROWS = "align.jsonl"


def align(
    source: str,
    /,
    *checkpoints: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    points: int = 25,
    seed: int = 0,
    options: Options | None = None,
) -> None:
    """Permute the hidden units of the second checkpoint to match the first (git re-basin's weight matching).

    The permuted network computes the same function. Prints the barrier on the straight line between the two before and
    after, adds it to align.jsonl in the run folder, and saves the permuted checkpoint. Where BatchNorm has running
    statistics and no policy was chosen, the barrier is measured with them interpolated and estimated anew.

    Parameters
    ----------
    source
        A run folder made by sharpmin plot, or your own task: package.module:function or file.py:function.
    checkpoints
        Of your own task: two files or folders with weights, the second of which is permuted.
    output
        The .safetensors file for the permuted checkpoint; none of a run folder's own is replaced.
    points
        Where the line is evaluated, both ends included.
    seed
        Of the order in which the layers are visited.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin.batchnorm import norms
    from sharpmin.checkpoints import parse_place
    from sharpmin.disk import check_writable
    from sharpmin.ends import aligned, pair
    from sharpmin.runs import Run, check_output

    if output.suffix != ".safetensors":
        raise UsageError(f"{output} is not a .safetensors file: the permuted checkpoint is written as one")
    check_output(output, [Path(source), *(parse_place(place)[0] for place in checkpoints)])
    check_writable(output.parent)
    with measuring(source, checkpoints, options) as setting:
        before = pair(setting.subject)
        chosen = before.objective(before.data)
        policies = ("running", "recalibrate") if chosen.undecided and norms(before.model) else (chosen.batch_norm,)
        after, found = aligned(before, seed=seed, progress=setting.progress)
        measured = {
            label: dict(barriers(setting, subject, policies, points=points, label=label))
            for label, subject in (("before", before), ("after", after))
        }
    kept = {"seed": str(seed), "passes": str(found.passes), "matched to": str(next(iter(before.points)))}
    Run(output.parent).save(output.stem, {n: t.contiguous() for n, t in found.state.items()}, metadata=kept)
    keep(setting, found, measured)
    show(table(measured))
    print(summary(found))
    print(f"Saved as {output}")


def barriers(
    setting: Setting, subject: "Subject", policies: Any, *, points: int, label: str
) -> "Iterator[tuple[tuple[str, str], Barrier]]":
    """The barrier on the straight line, on each set and under each policy."""
    from sharpmin.ends import ends
    from sharpmin.landscape import barrier
    from sharpmin.landscape.barrier import unit_grid

    a, b = ends(subject, list(subject.points))
    for part, data in (("data", subject.data), ("test data", subject.test)):
        for policy in policies if data is not None else ():
            f = replace(subject, evaluation=replace(subject.evaluation, batch_norm=policy)).objective(data)  # type: ignore[arg-type]
            report = labelled(setting.progress, f"{part}, {policy}, {label}")
            buffers = (a.buffers, b.buffers)
            yield (
                (part, policy),
                barrier(f, a.theta, b.theta, alphas=unit_grid(points), buffers=buffers, progress=report),
            )


def keep(setting: Setting, found: "Alignment", measured: "dict[str, dict[tuple[str, str], Barrier]]") -> None:
    """Add the row to the run folder."""
    from dataclasses import asdict

    evidence = ("before", "after", "passes", "converged", "moved", "seed", "seconds")
    row = {
        "ends": list(setting.subject.points),
        "alignment": {name: getattr(found, name) for name in evidence},
        "barriers": [
            {"when": when, "data": part, **asdict(barrier)}
            for when, several in measured.items()
            for (part, _), barrier in several.items()
        ],
        "environment": setting.environment,
    }
    setting.subject.run.add_line(ROWS, row)


def table(measured: "dict[str, dict[tuple[str, str], Barrier]]") -> Any:
    """A row a data set and policy: the barrier before and after, in loss and in error."""
    from rich.table import Table

    columns = ("", "BatchNorm", "loss barrier before", "after", "error barrier before", "after")
    shown = Table(*columns, box=None)
    for key, before in measured["before"].items():
        after = measured["after"][key]
        errors = ["-" if x.error_height is None else f"{x.error_height:.2%}" for x in (before, after)]
        shown.add_row(*key, f"{before.height:.4g}", f"{after.height:.4g}", *errors)
    return shown


def summary(found: "Alignment") -> str:
    """What was permuted, in a sentence."""
    units = sum(space.size for space in found.spaces)
    ended = "no layer improves any more" if found.converged else "stopped by the limit on passes"
    return (
        f"{found.moved} of {units} units moved, in {len(found.spaces)} groups; inner product of the weights "
        f"{found.before:.6g} before, {found.after:.6g} after {found.passes} passes ({ended})"
    )
