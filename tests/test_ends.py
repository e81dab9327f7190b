"""Points taken out of a subject's model: all that is theirs, and where the model is left."""

import pytest
import torch

from sharpmin.ends import end, ends, pair
from sharpmin.errors import UsageError
from sharpmin.subjects import Evaluation, of_task


@pytest.fixture
def subject(task, tmp_path):
    return of_task(task, ["a.pt", "b.pt"], Evaluation(), runs=tmp_path / "runs")


def test_each_has_its_weights_buffers_and_frozen_parts(subject):
    a, b = end(subject, "a"), end(subject, "b")
    assert not torch.equal(a.theta, b.theta)
    assert not torch.equal(a.buffers["1.running_mean"], b.buffers["1.running_mean"])
    assert not torch.equal(a.held["0.bias"], b.held["0.bias"])


@pytest.mark.parametrize("points", [["a", "b"], ["b", "a"]])
def test_the_model_is_left_at_the_first_whose_frozen_weights_stand_for_all(subject, points):
    with pytest.warns(UserWarning, match=f"there all are as {points[0]}"):
        taken = ends(subject, points)
    assert torch.equal(subject.model[0].bias, taken[0].held["0.bias"])
    for one, point in zip(taken, points, strict=True):
        assert torch.equal(one.theta, subject.at(point).theta)


def test_one_point_is_no_pair(task, tmp_path):
    with pytest.raises(UsageError, match="takes two ends and got b: give two checkpoints"):
        pair(of_task(task, ["b.pt"], Evaluation(), runs=tmp_path / "runs"))
