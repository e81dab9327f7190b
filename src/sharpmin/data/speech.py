"""Speech frames from the user's own .npz, for the paper's F2 network (Kaldi's archives: `sharpmin.data.kaldi`).

TIMIT is licensed, so nobody may hand it out: whoever has it prepares an .npz of x [N, 360] (floats) and
y [N] (integers from 0), and, if they have a test set of their own, x_test and y_test. Without one the last
tenth of the frames becomes the test set: frames of one utterance lie side by side, so cutting once keeps
almost every utterance on one side, where a random choice would put its neighbours on both.
"""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from sharpmin.data.examples import Examples, Split
from sharpmin.errors import DataError

FEATURES = 360
TEST_SHARE = 10
"""One frame in so many is for testing."""


def read_speech(path: Path) -> Split:
    """Read an .npz of speech frames; raise DataError saying what in it cannot be used."""
    arrays = _arrays(path)
    examples = _examples(arrays, "x", "y", path)
    if "x_test" in arrays or "y_test" in arrays:
        train, test = examples, _examples(arrays, "x_test", "y_test", path)
    else:
        train, test = _cut(examples, path)
    return Split(
        name="speech",
        train=train,
        test=test,
        classes=int(max(train.targets.max(), test.targets.max())) + 1,
        synthetic=False,
        source=f"{path.name}, MD5 {_md5(path)}",
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Load every array; pickled ones are refused."""
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise DataError(f"{path} is a single array: save x and y together with numpy.savez")
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is no .npz of plain arrays: {error}") from error


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _examples(arrays: dict[str, np.ndarray], x: str, y: str, path: Path) -> Examples:
    """Check one pair of arrays and turn it into examples."""
    if x not in arrays or y not in arrays:
        raise DataError(f"{path} has {', '.join(arrays) or 'nothing'}: {x} and {y} are needed")
    return frames(arrays[x], arrays[y], names=(x, y), where=str(path))


def frames(features: np.ndarray, labels: np.ndarray, *, names: tuple[str, str], where: str) -> Examples:
    """Examples of features and labels; a DataError calls them by their names and says where they are."""
    x, y = names
    if features.dtype.kind != "f" or features.ndim != 2 or features.shape[1] != FEATURES or not len(features):
        raise DataError(f"{where}: {x} is {features.dtype} {features.shape}, expected floats [N, {FEATURES}]")
    if labels.dtype.kind not in "iu" or labels.shape != features.shape[:1] or labels.min() < 0:
        raise DataError(
            f"{where}: {y} is {labels.dtype} {labels.shape}, expected {len(features)} integers from 0, one for "
            f"each row of {x}"
        )
    inputs = torch.from_numpy(features.astype(np.float32))
    if not inputs.isfinite().all():
        raise DataError(f"{where}: {x} has values that are not finite as float32; remove those frames")
    return Examples(inputs, torch.from_numpy(labels.astype(np.int64)))


def _cut(examples: Examples, path: Path) -> tuple[Examples, Examples]:
    """Split off the last tenth, unless the frames lie class by class: that would test on few classes."""
    count = len(examples) // TEST_SHARE
    if not count:
        raise DataError(f"{path} has {len(examples)} frames: {TEST_SHARE} at least are needed to test on one")
    if (examples.targets.diff() >= 0).all():
        raise DataError(f"{path}: y is sorted by class: shuffle x and y together, or add x_test and y_test")
    inputs, targets = examples.inputs, examples.targets
    return Examples(inputs[:-count], targets[:-count]), Examples(inputs[-count:], targets[-count:])
