"""`sharpmin noise-scale`: the gradient noise scale at checkpoints, and the batch size it predicts."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from sharpmin.cli.measuring import Options, labelled, measuring, show
from sharpmin.errors import UsageError
from sharpmin.rows import row


def noise_scale(
    source: str,
    /,
    *checkpoints: str,
    of: Literal["data", "population"] = "data",
    estimator: Literal["auto", "batches", "examples"] = "auto",
    noise_batch: int | None = None,
    max_batches: int | None = None,
    seed: int = 0,
    options: Options | None = None,
) -> None:
    """Measure how noisy the gradient of a batch is, in examples: the critical batch size (McCandlish et al. 2018).

    Far below it, twice the batch takes half the steps; far above, as many. Adds the rows to noise-scale.jsonl in the
    run folder.

    Parameters
    ----------
    source
        A run folder made by sharpmin plot, or your own task: package.module:function or file.py:function.
    checkpoints
        Of your own task: files or folders with weights.
    of
        Whether f is the mean over these very examples, or over what they were drawn from.
    estimator
        One gradient for every example, or for every batch.
    noise_batch
        Examples per batch of the estimator; by default a hundredth of them, or where BatchNorm's statistics or the loss
        tie the examples of a batch together --evaluation-batch, or an eighth where that gives fewer than 3.
    max_batches
        Use at most so many batches (or examples).
    seed
        Of the random order.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin import measures
    from sharpmin.disk import check_writable
    from sharpmin.measures.noise_scale import MESSAGES

    rows = []
    with measuring(source, checkpoints, options, by_gradients=True) as setting:
        check_writable(setting.subject.run.folder)
        for point in setting.subject.points:
            objective = setting.subject.around(point)
            with by_options():
                result = measures.noise_scale(
                    objective,
                    of=of,
                    estimator=estimator,
                    batch_size=noise_batch,
                    max_batches=max_batches,
                    seed=seed,
                    progress=labelled(setting.progress, point),
                )
            rows.append((point, result))
            setting.subject.run.add_line("noise-scale.jsonl", row(point, result, setting.environment))
    show(table(rows))
    for point, result in rows:
        if result.message != MESSAGES["measured"]:
            print(f"{point}: {result.message}")


@contextmanager
def by_options() -> Iterator[None]:
    """Name the options of the command line where the library names its arguments."""
    try:
        yield
    except UsageError as error:
        said = re.sub(r'\b(of|estimator|batch_norm)="(\w+)"', r"--\1 \2", str(error)).replace(
            "--batch_norm", "--batch-norm"
        )
        raise UsageError(said.replace("batch_size", "--noise-batch").replace("max_batches", "--max-batches")) from error


def table(rows: Sequence[tuple[str, Any]]) -> Any:
    """A row a point, with its evidence."""
    from rich.table import Table

    shown = Table("", "noise scale (examples)", "at least", "|G|^2", "tr Sigma", "loss", box=None)
    for evidence in ("estimator", "batches", "of", "ended", "s"):
        shown.add_column(evidence)
    for point, found in rows:
        shown.add_row(
            point,
            f"{found.value:.4g} ± {found.standard_error:.2g}",
            f"{found.lower_bound:.4g}",
            f"{found.gradient_norm_squared:.3g} ± {found.gradient_norm_squared_error:.1g}",
            f"{found.covariance_trace:.3g} ± {found.covariance_trace_error:.1g}",
            f"{found.loss:.4g}",
            found.estimator,
            str(found.batches),
            str(found.batch_size),
            found.status,
            f"{found.seconds:.0f}",
        )
    return shown
