"""Traces of matrices that are known, and of f."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, examples, random
from sharpmin.errors import UsageError
from sharpmin.measures import trace
from sharpmin.measures.trace import draws, hutch
from sharpmin.objective import Objective
from sharpmin.products import Curvature


def wishart(n, *, seed=0):
    """X^T X / n with 2n rows: a bulk of eigenvalues, none that stands out."""
    x = random(2 * n, n, seed=seed)
    return x.T @ x / n


def estimates(matrix, products, seeds):
    parts = [hutch(matrix, products, seed=seed) for seed in range(seeds)]
    values = np.array([part.caught + part.samples.mean().item() for part in parts])
    errors = np.array([part.samples.std().item() / len(part.samples) ** 0.5 for part in parts])
    return values, errors


@pytest.mark.parametrize("sign", [1, -1])
def test_the_standard_error_is_the_error(sign):
    matrix = sign * wishart(60)
    values, errors = estimates(matrix, 45, 200)
    away = (values - matrix.trace().item()) / errors
    assert abs(values.mean() - matrix.trace().item()) < 4 * values.std() / 200**0.5  # unbiased
    assert values.std() == pytest.approx(np.sqrt((errors**2).mean()), rel=0.15)
    assert 0.90 < (np.abs(away) < 2.14).mean() < 0.985  # Student's t with 14 degrees of freedom: 0.95


def test_eigenvalues_that_stand_out_are_caught_exactly():
    q, _ = torch.linalg.qr(random(200, 200))
    outliers, bulk = torch.tensor([50.0, 30.0, -20.0, 9.0], dtype=F64), 0.01 * random(196, seed=1)
    matrix = (q * torch.cat([outliers, bulk])) @ q.T
    values, errors = estimates(matrix, 30, 20)
    random_signs = (2 * torch.randint(2, (30, 200), generator=torch.Generator().manual_seed(0)) - 1).double()
    hutchinson = torch.einsum("ij,jk,ik->i", random_signs, matrix, random_signs).std() / 30**0.5
    np.testing.assert_allclose(values, matrix.trace(), atol=0.5)
    assert np.median(errors) < 0.02 * hutchinson


@pytest.mark.parametrize("rank", [0, 3])
def test_low_rank_leaves_nothing_to_chance(rank):
    x = random(50, rank) if rank else torch.zeros(50, 1, dtype=F64)
    parts = hutch(x @ x.T, 18)
    assert parts.caught == pytest.approx((x**2).sum().item(), abs=1e-12)
    assert parts.samples.abs().max() < 1e-10
    assert parts.products == 12 + rank  # six for the sketch, those of the basis it gave, and six


@pytest.mark.parametrize("n", [1, 4])
def test_fewer_weights_than_vectors(n):
    parts = hutch(wishart(n), 60)
    assert parts.caught == pytest.approx(wishart(n).trace().item(), rel=1e-12)


def test_of_least_squares_in_closed_form():
    data = examples(50, 6)
    f = Objective(
        nn.Linear(6, 40, bias=False, dtype=F64), data, loss=lambda m, b: m(b[0]).square().sum(1) / 2, batch_size=20
    )
    exact = 40 * data.inputs.square().sum().item() / 50
    found = trace(f, products=60)
    assert found.value == pytest.approx(exact, abs=3.5 * found.standard_error)
    assert 0 < found.standard_error < 0.05 * exact
    assert found.value == pytest.approx(found.caught + found.samples.mean().item())
    assert (found.size, found.products, len(found.samples)) == (240, 60, 20)
    block = trace(Curvature(f, layers=["weight"], matrix="gauss-newton"), products=60)
    assert block.value == pytest.approx(found.value, rel=1e-10)
    assert (block.matrix, block.names) == ("gauss-newton", ("weight",))


def test_the_seed_gives_the_bits_and_progress_is_told():
    told = []
    f = Objective(nn.Linear(6, 9, dtype=F64), examples(20, 6, classes=9))
    one, same, other = (trace(f, products=12, seed=seed) for seed in (0, 0, 1))
    assert one.value == same.value != other.value
    trace(f, products=12, progress=lambda task, done, total, unit: told.append((task, done, total, unit)))
    assert told == [("trace", i + 1, 12, "products") for i in range(12)]


def test_too_few_products_are_refused():
    with pytest.raises(UsageError, match="5 products: ask for at least 6"):
        trace(Objective(nn.Linear(6, 3), examples(5, 6, dtype=torch.float32)), products=5)


@pytest.mark.parametrize("n", [1, 8, 1001])
def test_the_random_vectors_are_signs_that_have_nothing_to_do_with_each_other(n):
    drawn = draws(torch.empty(n, n), seed=3)
    signs = torch.stack([next(drawn) for _ in range(400)])
    assert signs.dtype == torch.float32
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert signs.mean(0).abs().max() < 5 / 400**0.5
    assert ((signs.T @ signs / 400).fill_diagonal_(0)).abs().max() < 6 / 400**0.5
