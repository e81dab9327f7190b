"""What a run's settings say of its data set."""

import hashlib
from dataclasses import replace

import numpy as np

from sharpmin.data import Examples, synthetic
from sharpmin.data.record import described, fingerprint, titled

SPLIT = synthetic(train=6, test=4, shape=(2, 3), classes=3)


def test_a_record_has_the_name_the_sizes_and_the_shape_of_one_example():
    record = described(SPLIT)
    assert {key: record[key] for key in ("name", "train", "test", "shape", "classes", "synthetic")} == {
        "name": "synthetic",
        "train": 6,
        "test": 4,
        "shape": [2, 3],
        "classes": 3,
        "synthetic": True,
    }
    assert (record["source"], record["sha1"]) == (SPLIT.source, fingerprint(SPLIT))


def test_the_fingerprint_is_the_sha1_of_the_bytes_of_all_numbers_in_their_order():
    parts = (SPLIT.train.inputs, SPLIT.train.targets, SPLIT.test.inputs, SPLIT.test.targets)
    together = b"".join(np.ascontiguousarray(tensor.numpy()).tobytes() for tensor in parts)
    assert fingerprint(SPLIT) == hashlib.sha1(together).hexdigest()


def test_another_order_is_another_data_set():
    spoilt = replace(SPLIT, test=Examples(SPLIT.test.inputs.roll(1, 0), SPLIT.test.targets))
    assert fingerprint(spoilt) != fingerprint(SPLIT)


def test_made_up_data_are_called_so():
    assert titled(described(SPLIT)) == "synthetic (made up, not real data)"
    assert titled({"name": "mnist", "synthetic": False}) == "MNIST"
