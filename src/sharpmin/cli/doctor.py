"""`sharpmin doctor`: what would make this machine faster."""

import json as encoding
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sharpmin.cli.measuring import show
from sharpmin.errors import UsageError


def doctor(
    *,
    rounds: int = 5,
    seconds: float = 40,
    json: Path | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Say what would make this machine faster, each advice with its measured effect.

    Settings are compared side by side: training steps of C1 take turns, each setting against sharpmin's own, so that
    what else runs on the machine hits all alike. Takes less than a minute on a machine that is not busy.

    Parameters
    ----------
    rounds
        Turns of every setting; from fewer than 3 nothing is concluded.
    seconds
        Begin no further round after so long.
    json
        Write every number there too.
    quiet
        No progress.
    """
    from rich.table import Table

    from sharpmin import runtime
    from sharpmin.console import progress
    from sharpmin.disk import check_writable, write
    from sharpmin.doctor import checkup
    from sharpmin.runs import check_output

    if rounds < 1:
        raise UsageError(f"{rounds} rounds: measure at least 1")
    if seconds <= 0:
        raise UsageError(f"--seconds {seconds:g}: give more than 0")
    if json is not None:
        check_output(json)
        check_writable(json.parent)
    with progress(quiet=quiet) as report:
        found = checkup(rounds=rounds, seconds=seconds, progress=report)
    table = Table("", "here", "advice", box=None)
    for row in found.rows:
        table.add_row(row.name, row.found, row.advice)
    show(table)
    if found.caution:
        print(f"\n{found.caution[0].upper()}{found.caution[1:]}.")
    if json is not None:
        machine = runtime.environment(device=runtime.resolve_device("cpu"))
        write(json, (encoding.dumps({**asdict(found), "environment": machine}, indent=1) + "\n").encode())
