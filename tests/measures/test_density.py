"""Densities of matrices that are known, and of f."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, examples, random
from sharpmin.errors import UsageError
from sharpmin.measures import density
from sharpmin.measures.density import quadratures, smoothed
from sharpmin.objective import Objective
from sharpmin.products import Curvature


def wishart(n):
    """X^T X / rows with twice as many rows as columns; its spectrum tends to the law of Marchenko and Pastur."""
    x = random(2 * n, n)
    return x.T @ x / (2 * n)


def marchenko_pastur(t, ratio=0.5):
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    return np.sqrt(np.clip((high - t) * (t - low), 0, None)) / (2 * np.pi * ratio * t)


def test_a_wishart_matrix_has_the_density_of_marchenko_and_pastur():
    nodes, weights = quadratures(wishart(400), runs=8, steps=40)
    grid, sigma = torch.linspace(-0.5, 4, 901, dtype=F64), 0.1
    found = torch.stack([smoothed(grid, *rule, sigma) for rule in zip(nodes, weights, strict=True)]).mean(0)
    t = np.linspace(0.0858, 2.9142, 4001)
    law = np.exp(-(((grid.numpy()[:, None] - t) / sigma) ** 2) / 2) @ marchenko_pastur(t) * (t[1] - t[0])
    np.testing.assert_allclose(found, law / (sigma * math.sqrt(2 * np.pi)), atol=0.06)
    assert law.max() / (sigma * math.sqrt(2 * np.pi)) > 0.6


def test_moments_are_those_of_the_eigenvalues():
    matrix = wishart(60)
    eigenvalues = np.linalg.eigvalsh(matrix.numpy())
    nodes, weights = quadratures(matrix, runs=200, steps=6)
    for power in range(1, 12):  # exact for one vector up to degree 11, and on average for the matrix
        each = (weights * nodes**power).sum(1).numpy()
        assert abs(each.mean() - (eigenvalues**power).mean()) < 4 * each.std() / 200**0.5
    torch.testing.assert_close(weights.sum(1), torch.ones(200, dtype=F64))


def least_squares():
    """f with the Hessian X^T X / N."""
    data = examples(60, 30)
    f = Objective(nn.Linear(30, 1, bias=False, dtype=F64), data, loss=lambda m, b: m(b[0]).square().sum(1) / 2)
    return f, np.linalg.svd(data.inputs.numpy(), compute_uv=False) ** 2 / 60


def test_of_least_squares_within_its_standard_error():
    f, eigenvalues = least_squares()
    found = density(f, runs=40, steps=30, sigma=0.3)
    exact = smoothed(found.grid, torch.tensor(eigenvalues.copy()), torch.full((30,), 1 / 30, dtype=F64), 0.3)
    away = ((found.density - exact) / found.standard_error)[exact > 1e-3]
    assert (away.abs() < 4).all()
    assert away.square().mean() < 4


@pytest.mark.parametrize("sigma", [None, 0.01, 5.0])
@pytest.mark.parametrize("steps", [1, 7, 99])
def test_it_integrates_to_one_and_is_nowhere_negative(steps, sigma):
    f, _ = least_squares()
    found = density(f, runs=2, steps=steps, sigma=sigma)
    spacing = (found.grid[1] - found.grid[0]).item()
    assert found.integral == pytest.approx(1, abs=1e-6)
    assert found.density.sum().item() * spacing == pytest.approx(1, abs=1e-6)
    assert found.density.min() >= 0
    assert found.nodes.shape == found.weights.shape == (2, min(steps, 30))
    np.testing.assert_allclose(found.weights.sum(1), 1, rtol=1e-12)


def test_all_steps_give_the_eigenvalues_themselves():
    f, eigenvalues = least_squares()
    found = density(f, runs=2, steps=30)
    np.testing.assert_allclose(found.nodes, np.stack([eigenvalues[::-1]] * 2), rtol=1e-10)


@pytest.mark.parametrize("scale", [0.0, 2.0])
def test_a_multiple_of_the_identity_is_a_single_peak(scale):
    nodes, weights = quadratures(scale * torch.eye(9, dtype=F64), runs=2, steps=5)
    np.testing.assert_allclose(nodes, scale)
    np.testing.assert_allclose(weights.sum(1), 1)


def test_the_evidence():
    f, _ = least_squares()
    found = density(Curvature(f, matrix="gauss-newton"), runs=3, steps=5, seed=2)
    assert (found.matrix, found.method, found.products, found.size) == ("gauss-newton", "forward-over-reverse", 15, 30)
    spread = (found.nodes.max() - found.nodes.min()).item()
    assert found.sigma == pytest.approx(spread / 100)
    assert found.grid[0] < found.nodes.min()
    assert bool(density(f, runs=1, steps=5).standard_error.isnan().all())


def test_the_seed_gives_the_bits_runs_differ_and_progress_is_told():
    f, told = least_squares()[0], []
    one, same, other = (density(f, runs=2, steps=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.density, same.density)
    assert not torch.equal(one.nodes[0], one.nodes[1])
    assert not any(torch.equal(a, b) for a in one.nodes for b in other.nodes)
    density(f, runs=2, steps=4, progress=lambda task, done, total, unit: told.append((task, done, total, unit)))
    assert told == [("density", i + 1, 8, "products") for i in range(8)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"runs": 0}, "0 runs of 50 steps"),
        ({"steps": 0}, "3 runs of 0 steps"),
        ({"sigma": 0.0}, "sigma is 0"),
        ({"sigma": math.inf}, "sigma is inf"),
        ({"sigma": 1e-9}, "give a larger one"),
    ],
)
def test_bad_arguments(bad, says):
    with pytest.raises(UsageError, match=says):
        density(least_squares()[0], **bad)
