"""`sharpmin report`: everything that was measured, as one HTML page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def report(
    *runs: Path,
    page: Annotated[Path, Parameter(name=["--page", "-o", "--out"])] = Path("report.html"),
) -> None:
    """Write a report of finished runs: one HTML page, complete in itself, that says which minimizer is sharper.

    Reads what the other verbs left; nothing is measured anew. Give the run folders of several seeds to get means and
    standard deviations. The page needs no network; every number on it can be saved as CSV and JSON. Single trainings
    and figures of many trainings are left out, and named.

    Parameters
    ----------
    runs
        Run folders that differ only in the seed, and result files such as Figures/NAME.json.
    page
        The HTML file.
    """
    from sharpmin import report as reports
    from sharpmin.report.verdict import verdict
    from sharpmin.runs import check_output

    check_output(page, runs)
    left_out = {run: why for run in runs if (why := reports.elsewhere(run)) is not None}
    kept = [run for run in runs if run not in left_out] or runs
    story = reports.write(kept, page)
    print(verdict(story).headline)
    for run, why in left_out.items():
        print(f"Left out: {run} is {why}")
    print(f"Report saved as {page}")
