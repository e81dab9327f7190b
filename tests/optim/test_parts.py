"""The parts of L-BFGS-B: the compact matrix, the Cauchy point, the line search, blockwise products."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize._dcsrch import DCSRCH
from torch import Tensor

from sharpmin.optim import blocks
from sharpmin.optim.box import Box
from sharpmin.optim.cauchy import CauchySearch, Piece
from sharpmin.optim.compact import CompactMatrix, SingularError
from sharpmin.optim.moving import MovingSet, Point
from sharpmin.optim.subspace import Aim, Step, subspace_step
from sharpmin.optim.wolfe import LineSearch

F64 = torch.float64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=F64)


def filled(n: int, memory: int, pairs: int, seed: int) -> CompactMatrix:
    """A matrix that has seen `pairs` pairs y = H s of one positive definite H."""
    B = CompactMatrix(torch.zeros(n, dtype=F64), memory)
    h = random(n, seed=seed).abs() + 0.2
    for i in range(pairs):
        s = random(n, seed=seed + i + 1)
        slot = B.open_slot()
        B.vectors[2 * slot], B.vectors[2 * slot + 1] = h * s, s
        B.record(slot, B.used @ s, float((h * s) @ (h * s)))
    return B


def dense(B: CompactMatrix) -> Tensor:
    """B formed by the BFGS formula from theta I, oldest pair first."""
    n = B.vectors.shape[1]
    matrix = B.theta * torch.eye(n, dtype=F64)
    for slot in B.order:
        y, s = B.vectors[2 * slot], B.vectors[2 * slot + 1]
        Bs = matrix @ s
        matrix = matrix - torch.outer(Bs, Bs) / (s @ Bs) + torch.outer(y, y) / (y @ s)
    return matrix


@pytest.mark.parametrize("pairs", [1, 3, 4, 7])
def test_compact_form_is_the_bfgs_matrix(pairs):
    B = filled(12, 4, pairs, seed=pairs)
    W = B.columns(torch.arange(12)).T
    torch.testing.assert_close(B.theta * torch.eye(12, dtype=F64) - W @ B.middle @ W.T, dense(B))


def test_a_pair_without_positive_curvature_is_noticed():
    B = CompactMatrix(torch.zeros(3, dtype=F64), 2)
    slot = B.open_slot()
    B.vectors[0], B.vectors[1] = torch.ones(3), -torch.ones(3)
    B.record(slot, torch.tensor([-3.0, 3.0], dtype=F64), 3.0)
    with pytest.raises(SingularError):
        _ = B.middle


def path_minimum(B: Tensor, x: Tensor, g: Tensor, box: Box) -> Tensor:
    """The first local minimiser of the model along P(x - t g), one breakpoint at a time on the dense matrix."""
    t = torch.where(g == 0, torch.inf, (x - torch.where(g > 0, box.lower, box.upper)) / g)
    at, z = 0.0, torch.zeros_like(x)
    for stop in [*sorted({float(v) for v in t if 0 < v < math.inf}), math.inf]:
        d = torch.where(t > at, -g, 0.0)
        first, second = float(d @ (g + B @ z)), float(d @ B @ d)
        if first >= 0:
            return x + z
        if at - first / second < stop:
            return x + z - first / second * d
        z, at = z + (stop - at) * d, stop
    return x + z


@example(n=3, seed=200975, ties=False, room=1)  # f'' must be carried in float64
@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(2, 25),
    seed=st.integers(0, 10**6),
    ties=st.booleans(),
    room=st.sampled_from([1, 2, 5, 10**6]),
)
def test_cauchy_point_is_the_first_minimiser_of_the_path(n, seed, ties, room):
    B = filled(n, 3, 4, seed)
    g = random(n, seed=seed + 50)
    width = random(n, seed=seed + 51).abs()
    if ties:
        g, width = g.sign() * (1 + (g.abs() > 1)), torch.full_like(width, 0.5)
    g[0] = 0.0
    x = torch.zeros_like(g)
    x[1] = width[1]
    box = Box(-width, width)
    piece, t = search(B, x, g, box, room)
    W = B.columns(torch.arange(n))
    z = (x - piece.t * g).clamp(box.lower, box.upper)
    torch.testing.assert_close(z, path_minimum(dense(B), x, g, box), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(piece.c, W @ (z - x), rtol=1e-6, atol=1e-6)
    at_bounds = W * ((t > 0) & (t <= piece.fixed))
    torch.testing.assert_close(piece.passed, at_bounds @ at_bounds.T)
    assert piece.fixed == 0 or piece.fixed in t.tolist()


def search(B: CompactMatrix, x: Tensor, g: Tensor, box: Box, room: int) -> tuple[Piece, Tensor]:
    t = box.steps_to_bound(x, g)
    d = torch.where(t > 0, -g, 0.0)
    finder = CauchySearch(B, t, g)
    finder.room = room
    return finder.run(Piece.start(float(d @ d), B.columns(torch.arange(len(x))) @ d)), t


def test_breakpoints_of_every_kind_of_variable():
    inf, eps = math.inf, 0.0
    #      free  up   down  at l, out  at l, in  at l, g = 0  inside, g = 0  fixed
    g = torch.tensor([1.0, -2.0, 4.0, 1.0, -1.0, eps, eps, 3.0])
    x = torch.tensor([0.0, 0.0, 0.0, -1.0, -1.0, -1.0, 0.0, 0.5])
    lower = torch.tensor([-inf, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 0.5])
    upper = torch.tensor([inf, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5])
    assert Box(lower, upper).steps_to_bound(x, g).tolist() == [inf, 0.5, 0.25, 0.0, 2.0, 0.0, inf, 0.0]


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 20), seed=st.integers(0, 10**6), memory=st.integers(1, 4))
def test_sums_over_the_moving_variables_are_kept_up_to_date(n, seed, memory):
    """A walk in a box with pairs and without; the sums are formed anew from the stored vectors."""
    box, B = Box(-torch.ones(n, dtype=F64), 1.0 + random(n, seed=seed).abs()), CompactMatrix(torch.zeros(n), memory)
    B.vectors = B.vectors.double()
    moving, t = MovingSet(B, box), torch.empty(n, dtype=F64)
    now = Point(torch.zeros(n, dtype=F64), random(n, seed=seed))
    moving.set_out(now, now, t, pair=False)
    for step in range(1, 8):
        old, pair = now, step % 4 != 3
        g = random(n, seed=seed + step) * (torch.arange(n) % 7 != 3)
        now = Point(torch.where(t > 0, box.project_(old.x - 3 * old.g), old.x), g)
        path = moving.set_out(now, old, t, pair=pair)
        over_V = B.used * (t > 0)
        used = len(B.used)
        assert torch.equal(t, box.steps_to_bound(now.x, g))
        torch.testing.assert_close(moving.gram[:used, :used], over_V @ over_V.T)
        torch.testing.assert_close(moving.with_g[:used], over_V @ g)
        assert path.dd == pytest.approx(float((g * (t > 0)).square().sum()))
        if pair:
            slot = B.order[-1]
            y, s = B.vectors[2 * slot], B.vectors[2 * slot + 1]
            assert torch.equal(y, g - old.g)
            assert torch.equal(s, now.x - old.x)
            torch.testing.assert_close(B.gram[2 * slot + 1, :used], B.used @ s)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(3, 20), seed=st.integers(0, 10**6))
def test_subspace_minimiser_solves_the_reduced_system(n, seed):
    """Between wide bounds the step ends at the model's minimiser over the free variables."""
    B, g, x = filled(n, 3, 4, seed), random(n, seed=seed + 9), torch.zeros(n, dtype=F64)
    t = torch.where(torch.arange(n) % 3 == 0, 1.0, torch.inf).to(F64)
    F, W = (t > 1).nonzero().squeeze(1), B.columns(torch.arange(n))
    held = W * (t == 1)
    start = Piece(0.0, 0.0, W @ (-g * (t > 1)), torch.zeros(6, dtype=F64), held @ held.T, fixed=1.0)
    step = subspace_step(B, start, B.vectors @ B.vectors.T)
    z = t.clone()
    aim = Aim(x, torch.where(t > 1, g, 0.0), z, start.fixed, Box(-math.inf, math.inf), B)
    slope = aim.project(step)
    expected = torch.zeros_like(x)
    expected[F] = -torch.linalg.solve(dense(B)[F][:, F], g[F])
    torch.testing.assert_close(z, expected, rtol=1e-7, atol=1e-7)
    assert slope == pytest.approx(float(aim.g @ z))


def test_truncated_step_ends_on_the_first_bound_it_meets():
    x, g = torch.tensor([0.0, 0.0, -0.9], dtype=F64), torch.ones(3, dtype=F64)
    aim = Aim(x, g, torch.full_like(x, 9.0), 0.2, Box(-1.0, 2.0), filled(3, 1, 0, 0))
    slope = aim.truncate(Step(0.5), Step(2.5))
    assert aim.z.tolist() == [-1.0, -1.0, 9.0]
    assert slope == pytest.approx(7.9)


PHIS = {
    "Moré and Thuente 1": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "Moré and Thuente 2": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "cosine": (lambda a: np.cos(3 * a + 1) - 0.1 * a, lambda a: -3 * np.sin(3 * a + 1) - 0.1),
    "steep wall": (lambda a: np.exp(6 * a) - 50 * a, lambda a: 6 * np.exp(6 * a) - 50),
    "flat then up": (lambda a: a**8 - 1e-3 * a, lambda a: 8 * a**7 - 1e-3),
    "line": (lambda a: -a, lambda a: -1.0),
}


@pytest.mark.parametrize("name", PHIS)
@pytest.mark.parametrize("longest", [1.0, 7.5, 1e10])
@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0])
def test_line_search_takes_scipys_steps(name, first, longest):
    phi, slope = PHIS[name]
    steps: list[float] = []
    ours = LineSearch(phi(0.0), slope(0.0), first, lambda: longest)
    for _ in range(20):
        steps.append(ours.step)
        if ours.accepts(phi(ours.step), slope(ours.step)):
            break
    theirs: list[float] = []

    def watched(a: float) -> float:
        theirs.append(a)
        return phi(a)

    with np.errstate(all="ignore"):
        DCSRCH(watched, slope, 1e-3, 0.9, 0.1, 0.0, longest)(first, phi(0.0), slope(0.0), 20)
    assert steps == pytest.approx(theirs[: len(steps)], rel=1e-9)
    assert len(steps) == len(theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, F64])
@pytest.mark.parametrize("length", [1, 100, 2048, 5000, 65536])
def test_products_and_combinations(dtype, length):
    a, b = random(3, length, seed=1).to(dtype), random(4, length, seed=2).to(dtype)
    error = (blocks.products(a, b) - a.double() @ b.double().T).abs().max()
    assert float(error) <= {torch.float16: 3e-7, torch.float32: 3e-7, F64: 1e-14}[dtype] * length
    out, factors = torch.empty(length, dtype=dtype), random(4, seed=3).to(dtype)
    torch.testing.assert_close(blocks.combine(factors, b, out), factors @ b)


def test_float32_products_over_two_million_are_good_to_1e_8():
    a, b = (torch.randn(1, 2_000_000, generator=generator(i)) for i in range(2))
    exact = float(a[0].double() @ b[0].double())
    error = abs(sum(float(blocks.products(a[:, i], b[:, i])) for i in blocks.blocks(a)) - exact)
    assert error <= 1e-8 * float(a.norm() * b.norm())


@pytest.mark.parametrize("n", [1, 5000, 300_000])
def test_inner_products_of_whole_vectors_are_those_in_float64(n):
    a, b = random(n, seed=0).float(), random(n, seed=1).float()
    assert blocks.inner(a, b) == pytest.approx(float(np.dot(a.double().numpy(), b.double().numpy())), rel=1e-12)
    assert blocks.norm(a) == pytest.approx(float(np.linalg.norm(a.double().numpy())), rel=1e-13)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.bfloat16])
def test_one_number_that_is_not_finite_is_seen(bad, dtype):
    a = torch.full((1000,), torch.finfo(dtype).max, dtype=dtype)  # their sum overflows
    assert blocks.all_finite(a)
    a[567] = bad
    assert not blocks.all_finite(a)
    assert not blocks.all_finite(torch.tensor([math.inf, -math.inf], dtype=dtype))


def test_products_of_no_rows_are_none():
    assert blocks.products(torch.zeros(0, 20_000), torch.ones(1, 20_000)).shape == (0, 1)
