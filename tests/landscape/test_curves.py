"""The two curves as formulas, and how they are evaluated."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, bowl, examples, half_square, random
from sharpmin.errors import UsageError
from sharpmin.landscape.curves import CurveConfig, CurveState, coefficients, evaluate_curve, point, straight
from sharpmin.objective import Objective

A, B, BEND = random(7, seed=1), random(7, seed=2), random(1, 7, seed=3)
TS = [0.0, 0.1, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("t", TS)
def test_with_one_bend_they_are_the_papers(t):
    a, b, theta = A.numpy(), B.numpy(), BEND[0].numpy()
    bezier = (1 - t) ** 2 * a + 2 * t * (1 - t) * theta + t**2 * b
    chain = 2 * (t * theta + (0.5 - t) * a) if t <= 0.5 else 2 * ((t - 0.5) * b + (1 - t) * theta)
    np.testing.assert_allclose(point("bezier", A, BEND, B, t), bezier, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(point("polygon", A, BEND, B, t), chain, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
@pytest.mark.parametrize("bends", [1, 2, 5])
def test_coefficients_add_up_to_one_and_without_a_bend_the_curve_is_the_line(kind, bends):
    for t in np.linspace(0, 1, 13).tolist():
        found = coefficients(kind, t, bends=bends)
        assert len(found) == bends + 2
        assert sum(found) == pytest.approx(1, rel=1e-14)
        assert min(found) >= 0
        on_line = point(kind, A, straight(A, B, bends=bends), B, t)
        np.testing.assert_allclose(on_line, (1 - t) * A + t * B, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_ends_are_the_minimizers_bit_for_bit(kind, dtype):
    a, b, bends = (random(*shape, seed=4, dtype=dtype) / 3 for shape in ((1000,), (1000,), (2, 1000)))
    for t, end in ((0, a), (0.0, a), (1, b), (1.0, b)):
        found = point(kind, a, bends, b, t)
        assert torch.equal(found, end)
        assert found.data_ptr() != end.data_ptr()


def test_losses_along_a_curve_and_the_line_on_a_quadratic():
    problem = bowl(7)
    f = Objective(problem.model, problem.data, loss=half_square, batch_size=3)
    state = CurveState(BEND, {}, (0.5, 0.25), 1.5)
    found = evaluate_curve(f, A, B, state, CurveConfig(epochs=2), points=5)
    expected = [problem.value(point("bezier", A, BEND, B, t)) for t in found.ts]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-13)
    np.testing.assert_allclose(found.line.losses, [problem.value((1 - t) * A + t * B) for t in found.ts], rtol=1e-13)
    assert found.losses[0] == f.value(A) == found.line.losses[0]
    assert found.losses[-1] == f.value(B)
    assert found.barrier.height == pytest.approx(
        max(loss - (1 - t) * expected[0] - t * expected[-1] for t, loss in zip(found.ts, expected, strict=True))
    )
    assert found.line_barrier.height == 0
    assert (found.training_losses, found.seconds, found.examples, found.batch_size) == ((0.5, 0.25), 1.5, 7, 3)
    assert (found.batch_norm, found.training_batch_norm, found.precision) == ("running", "running", "float32")


def test_stored_statistics_are_refused_and_recalibrated_ones_are_trained_with_the_batchs():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    undecided = Objective(model, examples(9, 4))
    state = CurveState(straight(undecided.theta, undecided.theta, bends=1), {}, (0.0,))
    for f in (undecided, Objective(model, examples(9, 4), batch_norm="running")):
        with pytest.raises(UsageError, match=r'choose the policy "recalibrate".* or "batch"'):
            evaluate_curve(f, f.theta, f.theta, state, CurveConfig())
    f = Objective(model, examples(9, 4), batch_norm="recalibrate")
    found = evaluate_curve(f, f.theta, f.theta, state, CurveConfig(), points=2)
    assert (found.batch_norm, found.training_batch_norm) == ("recalibrate", "batch")


def test_progress_tells_the_curve_from_the_line():
    problem, told = bowl(7), []
    f = Objective(problem.model, problem.data, loss=half_square)

    def progress(task, done, total, **_):
        told.append((task, done, total))

    evaluate_curve(f, A, B, CurveState(BEND, {}), CurveConfig(), points=2, progress=progress)
    assert told == [("curve", 1, 2), ("curve", 2, 2), ("line", 1, 2), ("line", 2, 2)]
