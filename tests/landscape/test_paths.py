"""Lines and arcs between two minimizers, on a quadratic f."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, bowl, examples, half_square, random
from sharpmin.errors import UsageError
from sharpmin.landscape.paths import default_alphas, interpolate, path
from sharpmin.objective import Objective

A, B = random(3, seed=1), random(3, seed=2)
PROBLEM = bowl(3)


def objective(**options):
    return Objective(PROBLEM.model, PROBLEM.data, loss=half_square, **options)


@pytest.mark.parametrize("kind", ["line", "arc"])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_ends_are_the_minimizers_bit_for_bit(kind, dtype):
    a, b = random(1000, seed=1, dtype=dtype), random(1000, seed=2, dtype=dtype)
    for alpha, end in ((0, a), (0.0, a), (1, b), (1.0, b)):
        found = interpolate(a, b, alpha, kind=kind)
        assert torch.equal(found, end)
        assert found.data_ptr() != end.data_ptr()


@pytest.mark.parametrize("alpha", [-1.0, 0.25, 0.5, 2.0])
def test_between_and_beyond_them_the_weights_are_the_papers(alpha):
    a, b = A.numpy(), B.numpy()
    np.testing.assert_allclose(interpolate(A, B, alpha), alpha * b + (1 - alpha) * a, rtol=1e-15)
    turned = np.sin(alpha * np.pi / 2) * b + np.cos(alpha * np.pi / 2) * a
    np.testing.assert_allclose(interpolate(A, B, alpha, kind="arc"), turned, rtol=1e-13)


def test_loss_along_a_line_through_a_quadratic_is_a_parabola():
    found = path(objective(), A, B)
    assert len(found.losses) == 25
    by_hand = [PROBLEM.value(alpha * B + (1 - alpha) * A) for alpha in np.linspace(-1, 2, 25)]
    np.testing.assert_allclose(found.losses, by_hand, rtol=1e-13)
    np.testing.assert_allclose(np.diff(found.losses, 3), 0, atol=1e-12)


def test_loss_along_an_arc():
    alphas = [-0.5, 0, 0.5, 1]
    by_hand = [PROBLEM.value(np.sin(a * np.pi / 2) * B + np.cos(a * np.pi / 2) * A) for a in alphas]
    np.testing.assert_allclose(path(objective(), A, B, kind="arc", alphas=alphas).losses, by_hand, rtol=1e-13)


def test_the_ends_of_a_path_have_the_ends_own_loss_bit_for_bit():
    f = objective(batch_size=2)
    found = path(f, A, B, alphas=[0, 1])
    assert found.losses == (f.value(A), f.value(B))


def test_the_answer_says_how_it_was_computed():
    found = path(objective(batch_size=2, batch_norm="batch"), A, B, alphas=[0.5])
    assert (found.kind, found.alphas, found.examples) == ("line", (0.5,), 7)
    assert (found.batch_norm, found.batch_size, found.precision) == ("batch", 2, "float32")
    assert found.accuracies == (None,)


def test_the_papers_grid_contains_both_minimizers():
    alphas = default_alphas()
    assert len(alphas) == 25
    assert {-1.0, 0.0, 1.0, 2.0} <= set(alphas)


def test_0_and_1_are_exactly_in_every_grid_that_has_them():
    assert all({0.0, 1.0} <= {*default_alphas(points)} for points in range(4, 700, 3))  # 148 missed 1 by a bit


def test_progress_counts_the_points():
    told = []
    path(objective(), A, B, alphas=[0, 1, 2], progress=lambda task, done, total, **_: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_what_makes_no_path_is_refused():
    with pytest.raises(UsageError, match="differ in size: 3 and 2"):
        path(objective(), A, B[:2])
    with pytest.raises(UsageError, match="unknown path 'spiral': choose one of line, arc"):
        path(objective(), A, B, kind="spiral")
    with pytest.raises(UsageError, match="a path with no alphas"):
        path(objective(), A, B, alphas=[])
    with pytest.raises(UsageError, match="1 points do not make a curve"):
        default_alphas(1)


def normed(seed):
    """A network with running statistics of its own."""
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    for number, tensor in enumerate((*model.parameters(), model[1].running_mean)):
        tensor.data.copy_(random(*tensor.shape, seed=10 * seed + number))
    return model


def test_running_statistics_are_interpolated_and_the_ends_are_the_ends_own():
    a, b, data = normed(1), normed(2), examples(9, 4)
    f, g = Objective(a, data, batch_norm="running"), Objective(b, data, batch_norm="running")
    ends = dict(a.named_buffers()), dict(b.named_buffers())
    found = path(f, f.theta, g.theta, alphas=[0, 0.25, 1], buffers=ends)
    assert (found.losses[0], found.losses[2]) == (f.value(f.theta), g.value(g.theta))
    model = normed(1)
    states = a.state_dict(), b.state_dict()
    mixed = {k: 0.75 * v + 0.25 * states[1][k] if v.is_floating_point() else v for k, v in states[0].items()}
    model.load_state_dict(mixed)
    middle = Objective(model, data, batch_norm="running")
    assert found.losses[1] == pytest.approx(middle.value(middle.theta), rel=1e-12)
