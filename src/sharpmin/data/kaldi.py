"""Speech frames from Kaldi's archives: what someone has who aligned TIMIT with Kaldi, for the paper's F2 network.

A folder holds feats (a matrix [frames, 360] for each utterance, spliced already) and ali (an integer for each frame),
each as .scp or, where there is none, as .ark; test_feats and test_ali are the test set. Without them the last tenth of
the utterances is, whole ones: neighbouring frames are nearly the same. Utterances that were not aligned are left out.

kaldiio reads the numbers. It would also unpickle objects and run the commands of an .scp; neither is let through.
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sharpmin.data.examples import Examples, Split
from sharpmin.data.speech import TEST_SHARE, frames
from sharpmin.errors import DataError, UsageError

BINARY = b"\0B"
TEXT = b" \t[-0123456789"
ENTRY = re.compile(r"(?P<ark>.*?)(?::(?P<offset>\d+))?")


def read_kaldi(folder: Path) -> Split:
    """Read a folder of archives; raise DataError saying what in it cannot be used."""
    train = utterances(folder, "")
    if archive(folder, "test_feats") or archive(folder, "test_ali"):
        test = utterances(folder, "test_")
    else:
        count = len(train) // TEST_SHARE
        if not count:
            raise DataError(
                f"{folder} has {len(train)} aligned utterances: {TEST_SHARE} at least are needed to test on one, "
                "or test_feats and test_ali"
            )
        train, test = train[:-count], train[-count:]
    parts = joined(train), joined(test)
    return Split(
        name="speech",
        train=parts[0],
        test=parts[1],
        classes=int(max(part.targets.max() for part in parts)) + 1,
        synthetic=False,
        source=f"Kaldi archives, {len(train)} utterances to train on and {len(test)} to test on",
    )


def archive(folder: Path, name: str) -> Path | None:
    """The list or the archive of that name."""
    found = (folder / f"{name}{suffix}" for suffix in (".scp", ".ark"))
    return next((file for file in found if file.exists()), None)


def utterances(folder: Path, prefix: str) -> list[Examples]:
    """The aligned utterances, in the order of the features."""
    files = [archive(folder, f"{prefix}{name}") for name in ("feats", "ali")]
    feats, ali = files
    if feats is None or ali is None:
        raise DataError(
            f"{folder} has no {prefix}feats.scp and {prefix}ali.scp (or .ark): put features and alignments there "
            "(see docs/data.md)"
        )
    alignments = dict(entries(ali))
    found, left_out = [], 0
    for utterance, matrix in entries(feats):
        if utterance in alignments:
            labels = alignments[utterance]
            found.append(frames(matrix, labels, names=("feats", "ali"), where=f"{feats}, utterance {utterance}"))
        else:
            left_out += 1
    if not found:
        raise DataError(f"no utterance is in both {feats} and {ali}: give the alignments of these features")
    if left_out:
        warnings.warn(f"{left_out} utterances of {feats} are not in {ali}: left out", stacklevel=2)
    return found


def joined(parts: list[Examples]) -> Examples:
    """All frames, one utterance after the other."""
    return Examples(torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts]))


def entries(file: Path) -> Iterator[tuple[str, Any]]:
    """The utterances of a list or an archive, each with its array."""
    matio = kaldiio_matio()
    try:
        yield from listed(file, matio) if file.suffix == ".scp" else archived(file, matio)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{error.filename or file} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # whatever kaldiio makes of a damaged file
        raise DataError(f"{file} is damaged, or no archive of numbers ({error})") from error


def kaldiio_matio() -> Any:
    """The reader of kaldiio, which is an extra."""
    try:
        from kaldiio import matio
    except ImportError as error:
        raise UsageError("Kaldi's archives need kaldiio: pip install 'sharpmin[kaldi]'") from error
    return matio


def archived(file: Path, matio: Any) -> Iterator[tuple[str, Any]]:
    """The entries of an archive, one after the other."""
    with file.open("rb") as stream:
        while (utterance := matio.read_token(stream)) is not None:
            yield utterance, numbers(stream, matio, f"{file}, utterance {utterance}")


def listed(file: Path, matio: Any) -> Iterator[tuple[str, Any]]:
    """The entries of a list; a relative path starts where Kaldi's would, in the working directory, or at the list."""
    for line in file.read_text(encoding="utf-8").splitlines():
        utterance, _, place = line.strip().partition(" ")
        if place.endswith(("|", "]")) or place.startswith("|"):
            raise DataError(f"{file}: {line.strip()!r} is a command or a range: copy-feats it into a plain archive")
        ark, offset = ENTRY.fullmatch(place.strip()).group("ark", "offset")  # type: ignore[union-attr]
        path = Path(ark) if Path(ark).exists() else file.parent / ark
        with path.open("rb") as stream:
            stream.seek(int(offset or 0))
            yield utterance, numbers(stream, matio, f"{path}, utterance {utterance}")


def numbers(stream: BinaryIO, matio: Any, where: str) -> Any:
    """The array at this place of an archive: binary or text, nothing that is unpickled."""
    tag = stream.read(len(BINARY))
    stream.seek(-len(tag), 1)
    if tag != BINARY and not (tag and tag[0] in TEXT):
        raise DataError(f"{where}: neither a matrix nor a vector of Kaldi's")
    return matio.read_kaldi(stream)
