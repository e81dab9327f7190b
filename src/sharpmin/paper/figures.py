"""The numbers of Figures 4, 5 and 6, and their JSON: what is drawn again is not computed again.

Every figure has its rows, one for each run or iterate that was measured, and its provenance.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sharpmin.disk import read_json
from sharpmin.errors import RunError
from sharpmin.paper.provenance import Provenance


@dataclass(frozen=True)
class BatchSizeRow:
    """A training and what it led to, measured by one epsilon.

    Attributes:
        batch_size: examples per step.
        seed: of the trial.
        epochs: done.
        loss: f at the solution, the mean over the training set.
        test_accuracy: of the solution, a fraction.
        epsilon: of Metric 2.1.
        sharpness: Metric 2.1 at the solution, in percent.
        still_climbing: whether the search for it was cut off; False where an earlier version did not ask.

    """

    batch_size: int
    seed: int
    epochs: int
    loss: float
    test_accuracy: float | None
    epsilon: float
    sharpness: float
    still_climbing: bool = False


@dataclass(frozen=True)
class BatchSizes:
    """The numbers of Figure 4.

    Attributes:
        provenance: what they were made from.
        rows: one for each trial, batch size and epsilon.

    """

    provenance: Provenance
    rows: tuple[BatchSizeRow, ...]


@dataclass(frozen=True)
class WarmStartRow:
    """A large-batch solution and the small-batch iterate it was started from.

    Attributes:
        seed: of the trial.
        warm_epochs: of small-batch training, at the end of which it was started; 0 for x0.
        small_test_accuracy: of the iterate it was started from, a fraction; None at x0.
        test_accuracy: of the large-batch solution.
        loss: f there, the mean over the training set.
        sharpness: Metric 2.1 there, in percent.
        still_climbing: as in `BatchSizeRow`.

    """

    seed: int
    warm_epochs: int
    small_test_accuracy: float | None
    test_accuracy: float | None
    loss: float
    sharpness: float
    still_climbing: bool = False


@dataclass(frozen=True)
class WarmStarts:
    """The numbers of Figure 5.

    Attributes:
        provenance: what they were made from.
        small_batch: examples per step of the small-batch training.
        large_batch: examples per step of the large-batch trainings.
        rows: one for each start and trial.

    """

    provenance: Provenance
    small_batch: int
    large_batch: int
    rows: tuple[WarmStartRow, ...]


@dataclass(frozen=True)
class AlongRow:
    """An iterate.

    Attributes:
        regime: "SB" or "LB".
        batch_size: examples per step of its training.
        seed: of the trial.
        epoch: after which; 0 is x0.
        loss: f there, the mean cross-entropy over the training set.
        sharpness: Metric 2.1 there, in percent.
        first_order: the rise within the box that the gradient alone promises, in units of the loss.
        still_climbing: as in `BatchSizeRow`.

    """

    regime: str
    batch_size: int
    seed: int
    epoch: int
    loss: float
    sharpness: float
    first_order: float
    still_climbing: bool = False


@dataclass(frozen=True)
class SharpnessAlong:
    """The numbers of Figure 6.

    Attributes:
        provenance: what they were made from.
        rows: one for each iterate, by trial and regime, then by epoch.

    """

    provenance: Provenance
    rows: tuple[AlongRow, ...]


Numbers = BatchSizes | WarmStarts | SharpnessAlong
KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "batch-sizes": (BatchSizes, BatchSizeRow),
    "warm-start": (WarmStarts, WarmStartRow),
    "sharpness-along": (SharpnessAlong, AlongRow),
}


def name_of(numbers: Numbers) -> str:
    """The figure's verb, and the second part of its files' names."""
    return next(name for name, (kind, _) in KINDS.items() if isinstance(numbers, kind))


def note_of(numbers: Numbers) -> str:
    """The line below the figure: that of its provenance, and how many of the searches were cut off on the climb."""
    early = sum(row.still_climbing for row in numbers.rows)
    cut_off = f"in {early} of {len(numbers.rows)} searches the loss was still climbing when the iterations were over"
    return "; ".join([numbers.provenance.note, *[cut_off] * bool(early)])


def as_json(numbers: Numbers) -> dict[str, Any]:
    """What is kept of a figure: every number, and which figure it is."""
    return {"figure": name_of(numbers), **asdict(numbers)}


def is_ours(file: Path) -> bool:
    """Whether a JSON file says that it is one of these figures."""
    raw = read_json(file)
    return isinstance(raw, dict) and raw.get("figure") in KINDS


def load(file: Path) -> Numbers:
    """Read what was kept of a figure.

    Raises:
        RunError: the file cannot be read or is not such a file.

    """
    raw = read_json(file)
    try:
        kind, row = KINDS[raw.pop("figure")]
        made, lines = Provenance.read(raw.pop("provenance")), raw.pop("rows")
        if row is BatchSizeRow:  # earlier versions had one epsilon and did not write it in each row
            lines = [{"epsilon": made.epsilons[0], **line} for line in lines]
        return kind(made, rows=tuple(row(**line) for line in lines), **raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file} is not a figure's JSON ({error}): give one that sharpmin paper wrote") from error
