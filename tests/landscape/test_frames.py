"""The plane through three points: an orthonormal basis, the points' places, their buffers, and what makes no plane."""

import pytest
import torch

from cases import F64, random
from sharpmin.errors import UsageError
from sharpmin.landscape import frame_through, mixing
from sharpmin.landscape.frames import distance, inner
from sharpmin.landscape.paths import between

A, B, C = (random(300_000, seed=seed) for seed in range(3))


@pytest.mark.parametrize(("dtype", "tolerance"), [(F64, 1e-12), (torch.float32, 1e-6)])
def test_an_orthonormal_basis_with_the_three_points_in_it(dtype, tolerance):
    thetas = [theta.to(dtype) for theta in (A, B, C)]
    frame = frame_through(thetas, names=("SB", "LB", "other"))
    u, v = frame.u.double(), frame.v.double()
    assert abs(float(u @ u) - 1) < tolerance
    assert abs(float(v @ v) - 1) < tolerance
    assert abs(float(u @ v)) < tolerance
    for mark, theta in zip(frame.marks, thetas, strict=True):
        away = (frame.theta(mark.alpha, mark.beta) - theta).double().norm()
        assert away < 3 * tolerance * theta.double().norm()
    assert [mark.name for mark in frame.marks] == ["SB", "LB", "other"]
    assert (frame.marks[0].alpha, frame.marks[0].beta, frame.marks[1].beta) == (0, 0, 0)
    assert torch.equal(frame.theta(0.0, 0.0), thetas[0])


def test_distances_on_the_plane_are_distances_between_weights():
    marks = frame_through([A, B, C]).marks
    for i, j in ((0, 1), (0, 2), (1, 2)):
        on_plane = ((marks[i].alpha - marks[j].alpha) ** 2 + (marks[i].beta - marks[j].beta) ** 2) ** 0.5
        assert on_plane == pytest.approx(float(((A, B, C)[i] - (A, B, C)[j]).norm()), rel=1e-12)


def test_nearly_in_line_the_basis_is_still_orthogonal():
    c = A + 0.5 * (B - A) + 1e-6 * C
    frame = frame_through([A, B, c])
    assert abs(float(frame.u @ frame.v)) < 1e-15
    assert frame.marks[2].alpha == pytest.approx(float((c - A) @ frame.u), rel=1e-12)


def test_what_makes_no_plane_is_refused():
    for same in ([A, A.clone(), C], [A, B, A], [A, B, B]):
        with pytest.raises(UsageError, match=r"x and y are the same weights|x and z are|y and z are"):
            frame_through(same, names=("x", "y", "z"))
    with pytest.raises(UsageError, match="x, y, z lie on one line and make no plane"):
        frame_through([A, B, 0.3 * A + 0.7 * B], names=("x", "y", "z"))
    with pytest.raises(UsageError, match="lie on one line"):
        frame_through([A.float(), B.float(), (0.3 * A + 0.7 * B).float()])
    with pytest.raises(UsageError, match="differ in size: 3, 2, 3 weights"):
        frame_through([A[:3], B[:2], C[:3]])
    with pytest.raises(UsageError, match="takes 3 points here, not 2"):
        frame_through([A, B])
    with pytest.raises(UsageError, match="3 points have 2 names"):
        frame_through([A, B, C], names=("x", "y"))


def buffers(seed):
    return {"mean": random(4, seed=seed), "count": torch.tensor(seed)}


def test_buffers_are_the_checkpoints_own_there_and_those_of_a_path_on_the_way():
    frame, own = frame_through([A, B, C]), [buffers(seed) for seed in (10, 20, 30)]
    mixed = mixing(frame, own)
    for mark, there in zip(frame.marks, own, strict=True):
        found = mixed(mark.alpha, mark.beta)
        torch.testing.assert_close(found["mean"], there["mean"], rtol=1e-12, atol=1e-12)
    assert mixed(0.0, 0.0)["mean"] is own[0]["mean"]
    for i, j in ((0, 1), (1, 2)):
        a, b = frame.marks[i], frame.marks[j]
        found = mixed(0.75 * a.alpha + 0.25 * b.alpha, 0.75 * a.beta + 0.25 * b.beta)
        torch.testing.assert_close(
            found["mean"], between(own[i], own[j], 0.25, kind="line")["mean"], rtol=1e-9, atol=1e-9
        )
        assert int(found["count"]) == 10


def test_inner_products_of_float32_are_summed_in_float64():
    a, b = A.float(), B.float()
    assert inner(a, b) == pytest.approx(float(a.double() @ b.double()), rel=1e-12)
    assert distance(a, b) == pytest.approx(float((a.double() - b.double()).norm()), rel=1e-12)
