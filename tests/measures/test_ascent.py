"""The two balls, and the ascent, in numpy and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import F64, random
from sharpmin.measures.ascent import L2Ball, LinfBall, Point, ascend

BALLS = [L2Ball(0.3), LinfBall(0.3)]
SIZE = {L2Ball: 2, LinfBall: np.inf}
DUAL = {L2Ball: 2, LinfBall: 1}
balls = pytest.mark.parametrize("ball", BALLS, ids=lambda ball: type(ball).__name__)


@balls
def test_the_steepest_direction_attains_the_rise(ball):
    slope = random(7, seed=1)
    direction = ball.steepest(slope)
    assert ball.size(direction) == pytest.approx(1, rel=1e-14)
    assert ball.radius * (slope @ direction).item() == pytest.approx(ball.rise(slope), rel=1e-14)
    assert ball.rise(slope) == pytest.approx(0.3 * np.linalg.norm(slope.numpy(), DUAL[type(ball)]), rel=1e-14)


@balls
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), log=st.floats(-3, 3))
def test_the_projection_is_the_nearest_point(ball, seed, log):
    """(u - Pu).(v - Pu) <= 0 for every v in the ball, and Pu = u inside."""
    u, v = 10**log * random(5, seed=seed), ball.random(5, seed=seed + 1).double()
    nearest = ball.project(u)
    assert np.linalg.norm(nearest.numpy(), SIZE[type(ball)]) <= 0.3 * (1 + 1e-14)
    assert ((u - nearest) @ (v - nearest)).item() <= 1e-12 * ball.size(u)
    if ball.size(u) <= ball.radius:
        assert torch.equal(nearest, u)


@balls
def test_a_random_point_is_in_the_ball_and_a_matter_of_its_seed(ball):
    one, again, other = (ball.random(1000, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert 0.29 < ball.size(one) <= 0.3 * (1 + 1e-6)
    assert abs(one.mean().item()) < 4 * one.std().item() / math.sqrt(1000)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_no_overflow_and_no_underflow(scale):
    u = torch.tensor([3.0, 4.0], dtype=F64) * scale
    assert L2Ball(1.0).size(u) == pytest.approx(5 * scale, rel=1e-14)
    torch.testing.assert_close(L2Ball(1.0).steepest(u), torch.tensor([0.6, 0.8], dtype=F64))


def test_the_step_is_halved_where_f_falls_and_doubled_where_it_rises():
    """f = -(u - 1/4)^2 on [-1, 1] from 0, by hand: 1 and 1 (halved from 2) fall, 1/2 is level, 1/4 is the top."""
    asked = []

    def parabola(u):
        asked.append(u.item())
        return Point(u, -((u - 0.25) ** 2).item(), -2 * (u - 0.25))

    start = parabola(torch.zeros(1, dtype=F64))
    ended = ascend(parabola, LinfBall(1.0), start, steps=9, step=2.0)
    assert asked == [0, 1, 1, 0.5, 0.25]
    assert ended == (4, "stationary")


def test_the_step_grows_back():
    """f = u^2 beyond a dip: the step halves until it is short of the dip, then doubles up to its first length."""
    asked = []

    def dip(u):
        asked.append(u.item())
        loss = u.item() if u.item() < 0.3 or u.item() > 0.9 else -1.0
        return Point(u, loss, torch.ones_like(u))

    ended = ascend(dip, LinfBall(8.0), dip(torch.zeros(1, dtype=F64)), steps=7, step=0.8)
    assert asked == pytest.approx([0, 0.8, 0.4, 0.2, 0.6, 0.4, 0.3, 0.25])
    assert ended == (7, "steps")
