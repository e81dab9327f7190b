"""`sharpmin report`: everything that was measured, as one HTML page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def report(
    *runs: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("report.html"),
) -> None:
    """Write a report of finished runs: one HTML page, complete in itself, that says which minimizer is sharper.

    Reads what the other verbs left; nothing is measured anew. Give the run folders of several seeds to get means and
    standard deviations. The page needs no network; every number on it can be saved as CSV and JSON.

    Parameters
    ----------
    runs
        Run folders that differ only in the seed, and result files such as Figures/NAME.json.
    out
        The page.
    """
    from sharpmin import report as reports
    from sharpmin.report.verdict import verdict

    story = reports.write(runs, out)
    print(verdict(story).headline)
    print(f"Report saved as {out}")
