"""Tables 2, 3 and 4 of Keskar et al. 2017 from finished runs, beside the published numbers.

Every run folder is a trial. Accuracies (Table 2) are those along the path at alpha = 0 and 1; sharpness (Tables 3 and
4) is what `sharpmin sharpness` left in the folder. Nothing is computed here but means and standard deviations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpmin.batching import DEFAULT_BATCH
from sharpmin.errors import RunError
from sharpmin.paper.grids import ALPHAS, grids, have_minimizers
from sharpmin.paper.metric import EPSILONS, asked, unlike_the_paper
from sharpmin.paper.published import accuracy_cell, sharpness_row
from sharpmin.runs import Run
from sharpmin.spread import Spread
from sharpmin.subjects import settings_of
from sharpmin.trials import check_alike

PARTS = ("train", "test")
SPACES = {3: None, 4: 100}


@dataclass(frozen=True)
class Cell:
    """One number of a table, over trials.

    Attributes:
        table: its number in the paper.
        network: of the paper.
        regime: "SB" or "LB".
        quantity: "train accuracy" or "test accuracy" in percent, or "sharpness".
        epsilon: of the sharpness.
        values: one from each run.
        published: mean and standard deviation in the paper, where it has this cell.

    """

    table: int
    network: str
    regime: str
    quantity: str
    epsilon: float | None
    values: tuple[float, ...]
    published: tuple[float, float] | None

    @property
    def ours(self) -> Spread:
        """Mean and deviation over the trials."""
        return Spread(self.values)

    @property
    def ratio(self) -> float | None:
        """Our mean over the published one."""
        return self.ours.mean / self.published[0] if self.published and self.published[0] else None


def cells(folders: Sequence[Path]) -> list[Cell]:
    """The cells of Tables 2, 3 and 4 that these runs, trials of one experiment, can fill.

    Raises:
        RunError: no runs, or not a finished one.
        UsageError: runs that differ in more than their seed.

    """
    if not folders:
        raise RunError("there are no runs to make tables of: give run folders of sharpmin plot")
    found = {folder: settings_of(folder) for folder in folders}
    check_alike(found)
    network = found[folders[0]]["network"]
    return [cell for cell in (*table_2(network, folders), *tables_3_and_4(network, folders)) if cell.values]


def table_2(network: str, folders: Sequence[Path]) -> Iterator[Cell]:
    """Accuracy in percent on the training and the test set."""
    rows = [along_the_path(Run(folder)) for folder in folders]
    for part in PARTS:
        for regime, alpha in ALPHAS.items():
            found = tuple(100 * row[f"{part}_accuracy"] for line in rows for row in line if row["alpha"] == alpha)
            yield Cell(2, network, regime, f"{part} accuracy", None, found, accuracy_cell(network, part, regime))


def along_the_path(run: Run) -> list[dict[str, Any]]:
    """The evaluated points of the straight line; of several grids that have both minimizers the finest."""
    files = [grid.file for grid in grids(run.folder) if grid.path == "line"]
    lines = [run.read_lines(file, ("alpha", "train_accuracy", "test_accuracy")) for file in files]
    return max(filter(have_minimizers, lines), key=len, default=[])


def tables_3_and_4(network: str, folders: Sequence[Path]) -> Iterator[Cell]:
    """Metric 2.1 by the settings of `sharpmin.paper.metric`, whatever else was measured; the last row of each run."""
    rows = [[row for row, apart in sharpness_rows(folder) if not apart] for folder in folders]
    for table, subspace in SPACES.items():
        for epsilon in EPSILONS:
            published = sharpness_row(network, epsilon=epsilon, subspace=subspace) or {}
            for regime in ALPHAS:
                wanted = {"minimizer": regime, "epsilon": epsilon, "subspace": subspace}
                found = [[row for row in lines if wanted.items() <= row.items()] for lines in rows]
                values = tuple(lines[-1]["value"] for lines in found if lines)
                yield Cell(table, network, regime, "sharpness", epsilon, values, published.get(regime))


def sharpness_rows(folder: Path) -> list[tuple[dict[str, Any], list[str]]]:
    """The rows of sharpness.jsonl, each with what sets it apart from the paper's tables."""
    examples = settings_of(folder).get("data", {}).get("train", DEFAULT_BATCH)
    rows = Run(folder).read_lines("sharpness.jsonl", ("value", "epsilon"))
    return [(row, unlike_the_paper(asked(row), examples=examples)) for row in rows]


def remarks(folders: Sequence[Path], found: Sequence[Cell]) -> Iterator[str]:
    """What was measured otherwise than in the paper and so left out, and how to make the tables that are missing."""
    made = {cell.table for cell in found}
    if 2 not in made:
        yield "Table 2 needs both minimizers evaluated: run the same sharpmin plot with --points 25."
    rows = [row for folder in folders for row in sharpness_rows(folder)]
    for table, subspace in SPACES.items():
        here = [apart for row, apart in rows if row["epsilon"] in EPSILONS and row.get("subspace") == subspace]
        if others := dict.fromkeys(", ".join(apart) for apart in here if apart):
            yield f"Left out of Table {table}, as not measured like the paper's: {'; '.join(others)}."
        if table not in made:
            option = "" if subspace is None else f" --subspace {subspace}"
            yield f"Table {table} needs sharpmin sharpness {folders[0]}{option}, and so for each run."


def markdown(found: Sequence[Cell]) -> str:
    """The cells as one Markdown table.

    Example:
        >>> print(markdown([Cell(3, "F1", "SB", "sharpness", 1e-3, (1.0, 2.0), (1.23, 0.83))]))
        | table | network | minimizer | quantity | epsilon | n | ours | paper | ours / paper |
        |---|---|---|---|---|---|---|---|---|
        | 3 | F1 | SB | sharpness | 0.001 | 2 | 1.50 ± 0.71 | 1.23 ± 0.83 | 1.22 |

    """
    lines = [
        "| table | network | minimizer | quantity | epsilon | n | ours | paper | ours / paper |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in found:
        ours = cell.ours.fixed()
        paper = "{:.2f} ± {:.2f}".format(*cell.published) if cell.published else "-"
        ratio = "-" if cell.ratio is None else f"{cell.ratio:.2f}"
        epsilon = "" if cell.epsilon is None else f"{cell.epsilon:g}"
        entries = (cell.table, cell.network, cell.regime, cell.quantity, epsilon, len(cell.values), ours, paper, ratio)
        lines.append("| " + " | ".join(map(str, entries)) + " |")
    return "\n".join(lines)
