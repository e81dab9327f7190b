"""The plane of a trajectory: a planted one is found, any other is what an SVD in numpy says."""

import numpy as np
import pytest
import torch

from cases import F64, random
from sharpmin.errors import UsageError
from sharpmin.landscape import trajectory_frame

FINAL, P, Q = (random(200_000, seed=seed) for seed in range(3))
PLACES = [(9.0, 1.0), (5.0, 3.0), (2.0, 2.0), (1.0, -1.0), (0.0, 0.0)]
PLANTED = [FINAL + along * P + across * Q for along, across in PLACES]


@pytest.mark.parametrize(("dtype", "tolerance"), [(F64, 1e-12), (torch.float32, 1e-5)])
def test_a_planted_plane_is_found_and_explains_everything(dtype, tolerance):
    thetas = [theta.to(dtype) for theta in PLANTED]
    frame = trajectory_frame(thetas)
    assert sum(frame.explained) == pytest.approx(1, abs=tolerance)
    assert frame.explained[0] > frame.explained[1] > 0
    for mark, theta in zip(frame.marks, thetas, strict=True):
        away = (frame.theta(mark.alpha, mark.beta) - theta).double().norm()
        assert away < 10 * tolerance * theta.double().norm()
        assert mark.distance < 1e-3 * float(theta.double().norm())
    for axis in (frame.u, frame.v):
        assert float(axis.double().norm()) == pytest.approx(1, abs=tolerance)
    assert abs(float(frame.u.double() @ frame.v.double())) < tolerance
    assert (frame.marks[-1].alpha, frame.marks[-1].beta, frame.marks[-1].name) == (0, 0, "4")
    assert torch.equal(frame.centre, thetas[-1])


def test_any_trajectory_is_what_an_svd_says():
    thetas = [random(60, seed=seed) for seed in range(7)]
    frame = trajectory_frame(thetas, names=[f"epoch {number}" for number in range(7)])
    m = torch.stack([theta - thetas[-1] for theta in thetas[:-1]]).numpy()
    left, values, right = np.linalg.svd(m, full_matrices=False)
    np.testing.assert_allclose(frame.explained, (values**2 / (values**2).sum())[:2], rtol=1e-12)
    for number, axis in enumerate((frame.u, frame.v)):
        assert abs(float(axis.numpy() @ right[number])) == pytest.approx(1, abs=1e-12)
    places = np.array([(mark.alpha, mark.beta) for mark in frame.marks[:-1]])
    np.testing.assert_allclose(np.abs(places), np.abs(left[:, :2] * values[:2]), rtol=1e-9)
    left_over = m - places @ np.stack([frame.u.numpy(), frame.v.numpy()])
    np.testing.assert_allclose(
        [mark.distance for mark in frame.marks[:-1]], np.linalg.norm(left_over, axis=1), rtol=1e-9
    )
    assert frame.marks[3].name == "epoch 3"


@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_what_makes_no_plane_is_refused(dtype):
    straight = [(FINAL + step * P).to(dtype) for step in (3.0, 2.0, 0.5, 0.0)]
    with pytest.raises(UsageError, match="0 to 3 lie on one line and make no plane"):
        trajectory_frame(straight)
    with pytest.raises(UsageError, match="lie on one line"):
        trajectory_frame([FINAL.to(dtype)] * 3)


def test_two_checkpoints_are_too_few():
    with pytest.raises(UsageError, match="takes 3 or more points here, not 2"):
        trajectory_frame(PLANTED[:2])
