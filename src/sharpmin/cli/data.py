"""`sharpmin data list | fetch | check`."""

from typing import Any

from cyclopts import App

from sharpmin.errors import DataError

data_app = App(name="data", help="The data sets: what is here, fetch one, check what is here.")


@data_app.command(name="list")
def list_sets() -> None:
    """Show the data sets, where they would lie and which are here."""
    from sharpmin import data

    show(data.status())


@data_app.command
def fetch(name: str, /) -> None:
    """Bring a data set into the cache, verified.

    Parameters
    ----------
    name
        mnist, fashion-mnist, cifar10 or cifar100.
    """
    from sharpmin import data
    from sharpmin.console import progress

    with progress() as report:
        print(data.fetch(name, progress=report))


@data_app.command
def check(name: str | None = None, /) -> None:
    """Verify the checksums of what is here; corrupt files are removed from the cache.

    Parameters
    ----------
    name
        One set; all by default.
    """
    from sharpmin import data

    rows = data.check(name)
    show(rows)
    if corrupt := [row.name for row in rows if row.state == "corrupt"]:
        raise DataError(f"corrupt: {', '.join(corrupt)}; fetch again with sharpmin data fetch")


def show(rows: Any) -> None:
    """Print data sets, one a line, and under each where it lies or where it would come from."""
    for row in rows:
        size = f"{row.bytes / 1e6:.0f} MB" if row.bytes else ""
        print(f"{row.name:<15}{row.title:<15}{row.state:<10}{size:>7}  {row.note}".rstrip())
        print(f"    {row.folder}" if row.state != "missing" else f"    from {', else '.join(row.sources)}")
