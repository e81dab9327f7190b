"""`sharpmin tables`: Tables 2, 3 and 4 of the paper from finished runs."""

import json as encoding
from dataclasses import asdict
from pathlib import Path

from sharpmin.errors import RunError, UsageError


def tables(*runs: Path, json: Path | None = None) -> None:
    """Print accuracies and sharpness of several runs of one network as mean and standard deviation beside the paper's.

    Reads what sharpmin plot and sharpmin sharpness left in the run folders; nothing is computed anew. Of Metric 2.1
    only what was measured as in the paper counts; what is left out is said.

    Parameters
    ----------
    runs
        Run folders, one for each trial (seed); single trainings among them are left out.
    json
        Write every value there too.
    """
    from sharpmin.disk import write
    from sharpmin.paper.inputs import MADE_UP
    from sharpmin.paper.tables import cells, markdown, remarks
    from sharpmin.runs import check_output
    from sharpmin.subjects import are_made_up
    from sharpmin.trials import pairs

    if not runs:
        raise UsageError("give the run folders of one network, one for each trial")
    if json is not None:
        check_output(json, runs)
    runs = pairs(runs) or runs
    found = cells(runs)
    remarked = list(remarks(runs, found))
    if not found:
        raise RunError(f"there is nothing to make tables of: {' '.join(remarked)}")
    made_up = are_made_up(runs)
    if json is not None:
        rows = [
            {
                **asdict(cell),
                "mean": cell.ours.mean,
                "deviation": cell.ours.deviation,
                "ratio": cell.ratio,
                "synthetic": made_up,
            }
            for cell in found
        ]
        write(json, (encoding.dumps(rows, indent=1) + "\n").encode())
    print(markdown(found))
    if remarked:
        print("", *remarked, sep="\n")
    if made_up:
        print(MADE_UP)
