"""Distances from the starting point, from planted weights."""

import pytest
import torch

from sharpmin.disk import write_json
from sharpmin.errors import RunError
from sharpmin.paper.distances import distances
from sharpmin.runs import Run


def test_planted_weights(tmp_path):
    write_json(tmp_path / "settings.json", {"network": "F1"})
    start = {"a": torch.ones(2, 2), "b": torch.ones(3)}
    run = Run(tmp_path)
    run.save("x0", start)
    run.save("small_batch", {"a": start["a"] + 3, "b": start["b"]})  # 6 away
    run.save("large_batch", {"a": start["a"], "b": start["b"] + torch.tensor([0.0, 2.0, 0.0])})  # 2 away
    found = distances(tmp_path)
    assert (found.small_batch, found.large_batch, found.ratio) == (6, 2, 3)
    assert found.between == pytest.approx(40**0.5)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        distances(tmp_path)
