"""One download over HTTP, with progress, into a file of our own naming.

pooch does the transfer. Its checksums and cache are not used: every source, not only the web, goes through
`sharpmin.data.verified`.
"""

from pathlib import Path
from urllib.parse import urlsplit

from sharpmin.errors import DataError
from sharpmin.progress import Progress

TIMEOUT = 10.0
"""Seconds to connect, and seconds without a byte."""
CHUNK = 1 << 18


class _Bar:
    """The small part of tqdm's interface that pooch drives, speaking to a Progress."""

    def __init__(self, task: str, progress: Progress) -> None:
        self.task, self.progress = task, progress
        self.done = self.total = 0

    def update(self, count: int) -> None:
        self.done = self.done + count
        if self.total:
            self.done = min(self.done, self.total)
        self.progress(self.task, self.done, self.total or None, unit="B")

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def download(url: str, folder: Path, progress: Progress) -> Path:
    """Save what `url` answers in `folder` under its own last name; raise DataError with a short reason."""
    import pooch  # here: with requests it takes 0.2 s, and most runs download nothing
    import requests

    target = folder / url.rsplit("/", 1)[-1]
    transfer = pooch.HTTPDownloader(
        progressbar=_Bar(f"download {target.name}", progress),
        chunk_size=CHUNK,
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},  # a .gz must arrive as the .gz it is
    )
    try:
        transfer(url, str(target), None)
    except requests.HTTPError as error:
        raise DataError(f"the server answered {error}") from error
    except requests.Timeout as error:
        raise DataError(f"no answer within {TIMEOUT:.0f} s") from error
    except requests.ConnectionError as error:
        raise DataError(f"{urlsplit(url).hostname} cannot be reached") from error
    except requests.RequestException as error:
        raise DataError(f"the transfer broke off: {type(error).__name__}") from error
    return target
