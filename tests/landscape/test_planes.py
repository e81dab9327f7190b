"""Planes: a quadratic's is its formula, right side up; what rescaling does to it; and what is kept stays."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, bowl, examples, half_square, random
from landscape.quadratics import objective, tilted, value
from live import LiveBytes
from sharpmin import Objective
from sharpmin.errors import UsageError
from sharpmin.landscape import (
    Frame,
    Grid,
    even,
    plane,
    plane_through,
    random_frame,
    random_plane,
    surface,
    trajectory_plane,
)
from sharpmin.landscape.paths import between, path
from sharpmin.landscape.points import TOGETHER

U, V = random(6, seed=1), random(6, seed=2)
GRID = Grid((-1.0, -0.3, 0.0, 0.5, 2.0), (-2.0, 0.25, 1.0))


def by_hand(centre, u, v, grid=GRID):
    """Rows are betas, columns alphas."""
    return [[value(centre.numpy() + a * u.numpy() + b * v.numpy()) for a in grid.alphas] for b in grid.betas]


def test_the_plane_of_a_quadratic_is_its_formula_at_every_point():
    f = objective()
    found = plane(f, f.theta, U, V, grid=GRID)
    assert (len(found.losses), len(found.losses[0])) == (3, 5)
    np.testing.assert_allclose(found.losses, by_hand(f.theta, U, V), rtol=1e-13)
    assert (found.alphas, found.betas) == (GRID.alphas, GRID.betas)


def test_the_middle_is_the_centre_bit_for_bit():
    f = objective()
    found = plane(f, f.theta, U, V, grid=GRID)
    middle = found.losses[found.betas.index(0.25)][found.alphas.index(0.0)]
    assert middle == f.value(torch.add(f.theta, V, alpha=0.25))
    around = random_plane(f, grid=Grid(even(0.3, 5), even(0.2, 3)))
    assert around.losses[1][2] == f.value(f.theta)


def test_a_random_plane_is_its_formula_and_says_what_it_is():
    f = objective()
    frame = random_frame(f, f.theta, normalisation="layer", seed=4)
    found = random_plane(f, normalisation="layer", seed=4, grid=GRID)
    np.testing.assert_allclose(found.losses, by_hand(f.theta, frame.u, frame.v), rtol=1e-13)
    assert (found.kind, found.normalisation, found.seed, found.weights) == ("random", "layer", 4, 6)
    np.testing.assert_allclose(found.lengths, np.linalg.norm([frame.u, frame.v], axis=1), rtol=1e-14)
    cosine = float(frame.u @ frame.v) / math.prod(found.lengths)
    assert found.cosine == pytest.approx(cosine, rel=1e-12)
    assert [(mark.name, mark.alpha, mark.beta) for mark in found.marks] == [("centre", 0, 0)]
    assert (len(random_plane(f).alphas), random_plane(f).alphas[0]) == (25, -1)


def test_the_answer_says_how_it_was_computed():
    f = objective(batch_norm="batch", batch_size=2)
    found = plane(f, f.theta, U, V, grid=([0], [0, 1]))
    assert (found.kind, found.normalisation, found.seed, found.explained, found.factor) == ("given", *[None] * 4)
    assert (found.examples, found.batch_norm, found.batch_size, found.precision) == (5, "batch", 2, "float32")
    assert found.accuracies == ((None,), (None,))
    classifier = Objective(nn.Linear(4, 3), examples(9, 4, dtype=torch.float32))
    accuracies = random_plane(classifier, grid=Grid((0.0,), (0.0,))).accuracies
    assert accuracies == ((classifier.measure(classifier.theta).accuracy,),)


def test_through_three_points_each_has_its_own_loss():
    f = objective()
    thetas = [random(6, seed=seed) for seed in range(3)]
    first = plane_through(f, thetas, names=("x", "y", "z"), grid=GRID)
    for mark, theta in zip(first.marks, thetas, strict=True):
        there = plane_through(f, thetas, grid=Grid((mark.alpha,), (mark.beta,)))
        assert there.losses[0][0] == pytest.approx(value(theta), rel=1e-12)
    assert (first.kind, [mark.name for mark in first.marks]) == ("checkpoints", ["x", "y", "z"])
    assert first.lengths == pytest.approx((1, 1), rel=1e-12)
    whole = plane_through(f, thetas)
    assert min(whole.alphas) < min(mark.alpha for mark in whole.marks)
    assert max(whole.betas) > max(mark.beta for mark in whole.marks)


def test_of_a_trajectory_every_checkpoint_in_the_plane_has_its_own_loss():
    f = objective()
    thetas = [random(6, seed=0) + a * U + b * V for a, b in ((3, 1), (2, -1), (1, 1), (0, 0))]
    found = trajectory_plane(f, thetas, grid=GRID)
    assert found.kind == "trajectory"
    assert sum(found.explained) == pytest.approx(1, abs=1e-12)
    for mark, theta in zip(found.marks, thetas, strict=True):
        there = trajectory_plane(f, thetas, grid=Grid((mark.alpha,), (mark.beta,)))
        assert there.losses[0][0] == pytest.approx(value(theta), rel=1e-10)


def network(scale=1.0):
    """A ReLU network; multiplied by `scale` in the first layer and divided by it in the second."""
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    for seed, p in enumerate(model.parameters()):
        p.data = random(*p.shape, seed=10 + seed)
    with torch.no_grad():
        for p in model[0].parameters():
            p.mul_(scale)
        model[2].weight.div_(scale)
    return Objective(model, examples(20, 4))


@pytest.mark.parametrize("normalisation", ["filter", "layer"])
def test_normalised_planes_do_not_see_the_rescaling_of_relu_layers(normalisation):
    one, other = (random_plane(network(s), normalisation=normalisation, grid=GRID) for s in (1.0, 10.0))
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-11)
    assert np.ptp(one.losses) > 0.5


def test_planes_that_are_not_normalised_do():
    one, other = (random_plane(network(s), normalisation="none", grid=GRID) for s in (1.0, 10.0))
    zero = GRID.alphas.index(0.0)
    assert np.abs(np.array(one.losses) / np.array(other.losses) - 1).max() > 0.3
    assert network(1.0).value(network(1.0).theta) == pytest.approx(network(10.0).value(network(10.0).theta), rel=1e-12)
    assert zero == 2


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_not_finite_stays_where_it_is(odd):
    def broken(model, batch):
        losses = tilted(model, batch)
        return torch.where(model.w[0, 0] > 1.5, torch.full_like(losses, odd), losses)

    e1, e2 = torch.eye(6, dtype=F64)[:2]
    found = plane(objective(broken), torch.zeros(6, dtype=F64), e1, e2, grid=GRID)
    bad = [[not math.isfinite(loss) for loss in row] for row in found.losses]
    assert bad == [[False, False, False, False, True]] * 3
    assert all(repr(row[4]) == repr(odd) for row in found.losses)
    np.testing.assert_allclose(
        np.array(found.losses)[:, :4], np.array(by_hand(torch.zeros(6), e1, e2))[:, :4], rtol=1e-13
    )


def test_points_found_before_are_not_measured_again_and_those_new_are_handed_on():
    f, kept = objective(), []
    frame = Frame(f.theta, U, V)
    whole = surface(f, frame, grid=GRID, after=lambda measured: kept.append(list(measured)))
    assert [len(measured) for measured in kept] == [TOGETHER, 15]
    told = []
    again = surface(
        f,
        frame,
        grid=GRID,
        found=kept[0],
        after=lambda measured: kept.append(list(measured)),
        progress=lambda task, done, total, **_: told.append((task, done, total)),
    )
    assert again == whole
    assert kept[2] == kept[1]
    assert told == [("plane", number, 15) for number in range(TOGETHER + 1, 16)]


def test_running_statistics_between_three_checkpoints_are_those_of_a_path_between_two():
    def normed(seed):
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
        for number, tensor in enumerate((*model.parameters(), model[1].running_mean)):
            tensor.data.copy_(random(*tensor.shape, seed=10 * seed + number))
        return Objective(model, examples(9, 4), batch_norm="running")

    from sharpmin.landscape import frame_through, mixing

    three = [normed(seed) for seed in (1, 2, 3)]
    thetas, buffers = [f.theta for f in three], [dict(f.model.named_buffers()) for f in three]
    frame = frame_through(thetas)
    mixed = mixing(frame, buffers)
    for mark, f in zip(frame.marks, three, strict=True):
        found = plane_through(three[0], thetas, grid=Grid((mark.alpha,), (mark.beta,)), buffers=mixed)
        assert found.losses[0][0] == pytest.approx(f.value(f.theta), rel=1e-10)
    half = Grid((frame.marks[1].alpha / 2,), (0.0,))
    middle = path(three[0], thetas[0], thetas[1], alphas=[0.5], buffers=(buffers[0], buffers[1])).losses[0]
    assert plane_through(three[0], thetas, grid=half, buffers=mixed).losses[0][0] == pytest.approx(middle, rel=1e-10)
    assert between(buffers[0], buffers[1], 0.5, kind="line")["1.running_mean"].shape == (5,)


def test_what_makes_no_plane_is_refused():
    f = objective()
    for u, v, said in (
        (U, 2 * U, "parallel"),
        (U, -U, "parallel"),
        (U, 0 * V, "a direction is 0"),
        (U, V * math.nan, "a direction is 0 or not finite"),
        (U, V[:3], "centre, u and v differ in size: 6, 6, 3 weights"),
    ):
        with pytest.raises(UsageError, match=said):
            plane(f, f.theta, u, v, grid=GRID)
    with pytest.raises(UsageError, match="the grid is empty"):
        plane(f, f.theta, U, V, grid=([], [0]))


def peak_of_a_plane(n, points):
    """Bytes alive at the most, beside the model, its weights as a vector and the data."""
    case = bowl(n, count=1)
    case.model.w.data = random(1, n)
    f = Objective(case.model, case.data, loss=half_square)
    theta = f.theta
    with LiveBytes(case.model.w, theta, case.data.inputs) as live:
        random_plane(f, theta, grid=Grid(even(1.0, points), even(1.0, points)))
    return live.peak


def test_the_largest_documented_grid_holds_no_more_vectors_than_stated():
    n, activations = 10_000, 3  # of one example of n inputs
    peak = peak_of_a_plane(n, 25)
    assert 8 * n * (2 + TOGETHER) <= peak <= 8 * n * (2 + TOGETHER + 1 + activations)
    assert peak < peak_of_a_plane(n, 4) + n
