"""Metric 2.1 as the paper takes it and as every table and figure here asks for it: one function with its options.

All of them are spelled out, because a row of a run folder counts where it was asked for by the same options.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sharpmin.batching import DEFAULT_BATCH
from sharpmin.measures import Sharpness, sharpness

EPSILONS = (1e-3, 5e-4)
"""Those of the paper."""

SEARCH: dict[str, Any] = {"start": "corner", "iterations": 10, "solver": "sharpmin", "seed": 0}
AS_IN_THE_PAPER = {**SEARCH, "batch_norm": "batch", "precision": "float32", "only": None}
RECORDED = ("epsilon", "subspace", "start", "solver", "seed", "batch_norm", "batch_size", "precision")


def metric_2_1(*, epsilon: float = 1e-3, subspace: int | None = None) -> partial[Sharpness]:
    """Sharpness as a measure of a sweep: from the corner of the box, ten iterations.

    Args:
        epsilon: half-width of the box; the paper has 1e-3 and 5e-4.
        subspace: dimensions of a random one; None for the full space.

    Example:
        >>> from sharpmin.sweep.trial import named
        >>> name, options = named(metric_2_1(epsilon=5e-4))
        >>> name, options["epsilon"], options["iterations"]
        ('sharpness', 0.0005, 10)

    Source: Keskar et al. 2017, Metric 2.1 and section 2.2.2.

    """
    return partial(sharpness, epsilon=epsilon, subspace=subspace, **SEARCH)


def asked(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of sharpness.jsonl was asked for; what rows of older versions leave out was as in the paper.

    Example:
        >>> asked({"epsilon": 1e-3, "iterations": 4, "asked": {"iterations": 30, "only": ["0.*", "1.*"]}})["iterations"]
        30

    """
    how = {**AS_IN_THE_PAPER, **(row.get("asked") or {}), **{key: row[key] for key in RECORDED if key in row}}
    return {**how, "only": how["only"] and ", ".join(how["only"])}


def unlike_the_paper(how: Mapping[str, Any], *, examples: int) -> list[str]:
    """In what a measurement is another than that of Tables 3 and 4, epsilon and space aside, in words.

    Args:
        how: what was asked for, as `asked` has it; what is not named there is not looked at.
        examples: of the training set; one of less than 5000 is a single evaluation batch.

    Example:
        >>> unlike_the_paper(asked({"batch_norm": "running", "asked": {"iterations": 3}}), examples=60_000)
        ['3 iterations', 'batch norm running']

    """
    wanted = {**AS_IN_THE_PAPER, "batch_size": min(DEFAULT_BATCH, examples)}
    return [in_words(key, how[key]) for key, value in wanted.items() if key in how and how[key] != value]


def in_words(key: str, value: Any) -> str:
    """A setting of a measurement.

    Example:
        >>> in_words("iterations", 1), in_words("only", "0.*"), in_words("batch_norm", "running")
        ('1 iteration', 'only 0.*', 'batch norm running')

    """
    if key == "iterations":
        return f"{value} iteration{'' if value == 1 else 's'}"
    if key == "batch_size" and value is None:
        return "batches of its own"
    return f"{key.replace('_', ' ')} {value}"
