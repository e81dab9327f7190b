"""The gradient noise scale, beside the batch sizes that were used."""

from dataclasses import replace

from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Figure, Numbers, Section, Table, rows_of, table
from sharpmin.report.chart import Guide, Series, chart
from sharpmin.report.sections.looks import legend, look, mark
from sharpmin.report.story import Story
from sharpmin.spread import plus_minus

LEAD = (
    "The batch size, in examples, whose gradient has noise as large as itself (McCandlish et al. 2018). Far below it, "
    "twice the batch takes half the steps; far above, as many. It is no measure of sharpness."
)
EVIDENCE = (
    *("minimizer", "value", "standard_error", "lower_bound", "gradient_norm_squared", "covariance_trace", "loss"),
    *("estimator", "of", "batches", "batch_size", "status", "seconds"),
)
HEADS = (
    "",
    "",
    "noise scale",
    "at least",
    "|G|²",
    "tr Σ",
    "loss",
    "estimator",
    "of",
    "batches",
    "batch",
    "status",
    "s",
)


def section(story: Story) -> Section | None:
    """The tab."""
    if not any(trial.noise_scale for trial in story.trials):
        return None
    return Section("noise", "Noise scale", LEAD, (figure(story), evidence(story)))


def figure(story: Story) -> Figure:
    """A mark a measurement, on a logarithmic axis that also has the batch sizes."""
    rows = [(trial.name, row) for trial in story.trials for row in trial.noise_scale]
    sizes = {point: size for point in story.points if (size := story.batch(point))}
    across = around(
        Axis("examples", log=True),
        [*sizes.values(), *(e for _, row in rows for e in (row["value"], row["lower_bound"]))],
        margin=0.12,
    )
    ranks = tuple((float(len(rows) - at), f"{row['minimizer']}") for at, (_, row) in enumerate(rows))
    series = [
        Series(
            f"{name}, {row['minimizer']}: noise scale {plus_minus(row['value'], row['standard_error'])}",
            [row["value"], row["lower_bound"]],
            [rank, rank],
            look(story, row["minimizer"]),
            mark(story, row["minimizer"]),
        )
        for (rank, _), (name, row) in zip(ranks, rows, strict=True)
    ]
    by_size = sorted(sizes, key=sizes.__getitem__)
    lines = [
        Guide(float(sizes[point]), f"{point} {sizes[point]}", look(story, point), raised=bool(at % 2))
        for at, point in enumerate(by_size)
    ]
    described = "; ".join(one.label for one in series)
    return Figure(
        "Noise scale and the batch sizes used",
        (
            chart(
                series,
                x=across,
                y=Axis("", 0.3, len(rows) + 0.7, named=ranks),
                guides=lines,
                describes=described,
                height=90 + 26 * len(rows),
            ),
        ),
        legend(story),
        "Right end: the noise scale; left end: what it hardly lies below. Dotted: the batch sizes of the trainings.",
        Numbers("noise-scale", ("trial", *EVIDENCE), tuple((name, *rows_of([row], EVIDENCE)[0]) for name, row in rows)),
    )


def evidence(story: Story) -> Table:
    """Each measurement."""
    raw = tuple((trial.name, *row) for trial in story.trials for row in rows_of(trial.noise_scale, EVIDENCE))
    shown = table("Every measurement, with its evidence", Numbers("noise-scale-evidence", ("trial", *EVIDENCE), raw))
    rows = tuple(
        (*row[:2], plus_minus(values[2], values[3]), *row[4:-1], str(round(values[-1] or 0)))
        for row, values in zip(shown.rows, raw, strict=True)
    )
    return replace(shown, columns=HEADS, rows=rows)
