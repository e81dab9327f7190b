"""Krylov spaces and eigenpairs of matrices that are known, against numpy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import F64, random
from sharpmin.errors import UsageError
from sharpmin.measures.krylov import Basis, Krylov
from sharpmin.measures.lanczos import eigenpairs


def with_eigenvalues(values, *, seed=0):
    """A symmetric matrix with these eigenvalues, in random directions."""
    q, _ = torch.linalg.qr(random(len(values), len(values), seed=seed))
    return (q * torch.as_tensor(values, dtype=F64)) @ q.T


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Counting:
    """A matrix that counts its products."""

    def __init__(self, matrix):
        self.matrix, self.shape, self.dtype, self.device = matrix, matrix.shape, matrix.dtype, matrix.device
        self.products = 0

    def __matmul__(self, v):
        self.products += 1
        return self.matrix @ v


def true_residuals(matrix, pairs):
    vectors = pairs.vectors.to(matrix.dtype)
    return torch.linalg.vector_norm(vectors @ matrix.T - pairs.values[:, None] * vectors, dim=1)


def wanted(matrix, k, which):
    values = np.linalg.eigvalsh(matrix.numpy())[::-1]
    return {"top": values[:k], "bottom": values[-k:], "both": np.concatenate([values[:k], values[-k:]])}[which]


@pytest.mark.parametrize("max_basis", [None, 16], ids=["one basis", "restarts"])
@pytest.mark.parametrize("which", ["top", "bottom", "both"])
def test_the_ends_of_a_random_spectrum(which, max_basis):
    matrix = random(80, 80)
    matrix = Counting(matrix + matrix.T)
    pairs = eigenpairs(matrix, k=4, which=which, tol=1e-9, max_products=400, max_basis=max_basis)
    np.testing.assert_allclose(pairs.values, wanted(matrix.matrix, 4, which), rtol=1e-12)
    assert (true_residuals(matrix.matrix, pairs) <= 1.01e-9 * pairs.values.abs()).all()
    torch.testing.assert_close(pairs.vectors @ pairs.vectors.T, torch.eye(len(pairs.values), dtype=F64))
    assert (pairs.status, bool(pairs.converged.all())) == ("converged", True)
    assert pairs.products == matrix.products
    assert pairs.products < 400
    if max_basis:
        assert pairs.products > max_basis  # it did restart


def test_a_spectrum_like_a_networks_takes_few_products():
    bulk = random(2000, seed=1).abs() * 0.05
    matrix = torch.diag(torch.cat([torch.tensor([40.0, 25.0, 11.0, 6.0, 3.0, -0.9], dtype=F64), bulk]))
    pairs = eigenpairs(matrix, k=5)
    np.testing.assert_allclose(pairs.values, [40, 25, 11, 6, 3], rtol=1e-5)
    assert pairs.products < 25
    assert eigenpairs(matrix, k=1, which="bottom").values.item() == pytest.approx(-0.9, rel=1e-5)


@pytest.mark.parametrize("max_basis", [None, 14])
def test_float32(max_basis):
    exact = with_eigenvalues([100, 50, 10, -40, *np.linspace(-1, 1, 296)])
    matrix = exact.float()
    pairs = eigenpairs(matrix, k=3, tol=1e-4, max_basis=max_basis, max_products=200)
    np.testing.assert_allclose(pairs.values, [100, 50, 10], rtol=1e-5)
    assert pairs.vectors.dtype == torch.float32
    assert (pairs.values.dtype, pairs.status) == (F64, "converged")
    assert (true_residuals(exact, pairs) <= 1.2e-4 * pairs.values).all()


@pytest.mark.parametrize("max_products", [5, 12])
def test_when_the_products_run_out_the_residuals_say_how_far_it_got(max_products):
    matrix = with_eigenvalues(np.linspace(0, 1, 100))
    pairs = eigenpairs(matrix, k=3, tol=1e-6, max_products=max_products)
    assert (pairs.status, pairs.products, pairs.converged.tolist()) == ("products", max_products, [False] * 3)
    torch.testing.assert_close(pairs.residuals, true_residuals(matrix, pairs))
    assert (pairs.residuals > 1e-3).all()


def test_only_those_that_converged_are_said_to_have():
    matrix = torch.diag(torch.cat([torch.tensor([100.0], dtype=F64), torch.linspace(0, 1, 200, dtype=F64)]))
    pairs = eigenpairs(matrix, k=2, tol=1e-4, max_products=6)
    assert pairs.converged.tolist() == [True, False]
    torch.testing.assert_close(pairs.residuals, true_residuals(matrix, pairs), rtol=1e-6, atol=1e-12)


def test_what_is_not_symmetric_in_the_products_is_in_the_residuals():
    noise = 1e-3 * random(60, 60, seed=3)
    matrix = with_eigenvalues([5, 3, *np.linspace(-1, 1, 58)]) + noise
    pairs = eigenpairs(matrix, k=2, tol=1e-8, max_products=60)
    assert pairs.status in ("products", "whole")
    torch.testing.assert_close(pairs.residuals, true_residuals(matrix, pairs), rtol=1e-6, atol=1e-12)
    assert (pairs.residuals > 1e-4).all()
    assert 1e-4 < pairs.asymmetry < 1e-2
    assert eigenpairs(with_eigenvalues(range(60)), k=2).asymmetry < 1e-12


@pytest.mark.parametrize("block", [1, 3])
def test_an_eigenvalue_is_found_as_often_as_it_occurs_up_to_the_block(block):
    matrix = with_eigenvalues([7, 7, 7, 4, *np.linspace(0, 1, 196)])
    k = 4 if block == 3 else 2
    pairs = eigenpairs(matrix, k=k, tol=1e-3, block=block)
    np.testing.assert_allclose(pairs.values, [7, 7, 7, 4] if block == 3 else [7, 4], atol=1e-5)
    torch.testing.assert_close(pairs.vectors @ pairs.vectors.T, torch.eye(k, dtype=F64))


@pytest.mark.parametrize("which", ["top", "both"])
def test_a_multiple_of_the_identity(which):
    pairs = eigenpairs(2 * torch.eye(9, dtype=F64), k=3, which=which)
    np.testing.assert_allclose(pairs.values, 2)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(len(pairs.values)), atol=1e-12)
    assert pairs.status == "converged"


def test_a_matrix_of_low_rank_and_a_matrix_of_zeros():
    pairs = eigenpairs(with_eigenvalues([3, 1, *[0] * 48]), k=4)
    np.testing.assert_allclose(pairs.values, [3, 1, 0, 0], atol=1e-10)
    assert pairs.status == "converged"
    assert not eigenpairs(torch.zeros(9, 9, dtype=F64), k=2).values.any()


@pytest.mark.parametrize(("n", "k", "which"), [(1, 1, "top"), (5, 5, "top"), (6, 3, "both"), (5, 5, "bottom")])
def test_all_the_pairs_there_are(n, k, which):
    matrix = random(n, n)
    matrix = matrix + matrix.T
    pairs = eigenpairs(matrix, k=k, which=which, tol=1e-8)
    np.testing.assert_allclose(pairs.values, np.linalg.eigvalsh(matrix.numpy())[::-1], atol=1e-12)
    assert pairs.products == n
    assert pairs.status == "converged"


def test_the_seed_gives_the_bits():
    matrix = with_eigenvalues(np.linspace(-1, 1, 50))
    one, same, other = (eigenpairs(matrix, k=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.vectors, same.vectors)
    assert not torch.equal(one.vectors.abs(), other.vectors.abs())


def test_progress_is_told():
    told = []
    pairs = eigenpairs(
        with_eigenvalues(range(30)), k=2, progress=lambda task, done, total, **more: told.append((task, done, more))
    )
    assert [(task, done) for task, done, _ in told] == [("spectrum", i + 1) for i in range(pairs.products)]
    assert told[-1][2] == {"unit": "products", "note": "2 of 2 converged"}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-(10**8), 10**8).map(lambda i: i / 1e6), min_size=4, max_size=30),
    st.integers(1, 2),
    st.integers(1, 3),
)
def test_any_spectrum(values, k, block):
    matrix = with_eigenvalues(values)
    pairs = eigenpairs(matrix, k=k, which="both", tol=1e-7, block=block, max_products=200)
    size = max(1e-300, max(abs(v) for v in values))
    assert (true_residuals(matrix, pairs) <= 1e-7 * pairs.values.abs() + 1e-12 * size).all()
    nearest = np.abs(pairs.values.numpy()[:, None] - np.array(values)).min(1)
    assert (nearest <= 1e-7 * np.abs(pairs.values.numpy()) + 1e-12 * size).all()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"k": 0}, "0 eigenpairs of a matrix with 9 rows: ask for at least 1 and at most 9"),
        ({"k": 10}, "10 eigenpairs of a matrix with 9 rows"),
        ({"k": 5, "which": "both"}, "10 eigenpairs of a matrix with 9 rows"),
        ({"which": "middle"}, "unknown which 'middle'"),
        ({"tol": -1.0}, "tol is -1"),
        ({"tol": float("nan")}, "tol is nan"),
        ({"k": 3, "max_products": 2}, "max_products is 2: 3 eigenpairs need at least as many"),
        ({"k": 3, "max_basis": 5}, "max_basis is 5: 3 eigenpairs need a basis of at least 6"),
        ({"block": 0}, "a block of 0 start vectors"),
        ({"block": 10}, "a block of 10 start vectors: choose 1 to 9"),
    ],
)
def test_bad_arguments(bad, says):
    with pytest.raises(UsageError, match=says):
        eigenpairs(torch.eye(9), **{"k": 2, **bad})


def test_the_coefficients_are_those_of_the_products():
    matrix = random(20, 20)
    matrix = matrix + matrix.T
    space = Krylov(matrix, most=12, generator=generator(), block=2)
    for _ in range(8):
        space.grow()
    space.restart(space.ritz().coordinates[-3:])
    for _ in range(4):
        space.grow()
    v, p, q = space.basis.rows, space.multiplied, space.basis.count
    assert (p, q) == (7, 9)
    torch.testing.assert_close(v @ v.T, torch.eye(q, dtype=F64))
    torch.testing.assert_close(v[:p] @ matrix, space.h[:q, :p].T @ v, rtol=0, atol=1e-12)


def test_a_basis_takes_only_what_is_new():
    basis = Basis(4, torch.eye(5, dtype=F64))
    one, two = random(2, 5)
    assert basis.append(one.clone()) == pytest.approx(one.norm().item())
    assert basis.append(two.clone()) > 0
    assert basis.append(3 * one - 2 * two) == 0
    assert (basis.count, basis.full) == (2, False)
    removed = two.clone()
    coefficients = basis.remove_from(removed)
    assert removed.norm() < 1e-14
    torch.testing.assert_close(coefficients @ basis.rows, two)


def test_many_columns_are_taken_piece_by_piece(monkeypatch):
    monkeypatch.setattr("sharpmin.measures.krylov.COLUMNS", 7)
    matrix = with_eigenvalues(np.linspace(-1, 1, 50))
    pairs = eigenpairs(matrix, k=2, tol=1e-9, max_basis=12)
    np.testing.assert_allclose(pairs.values, wanted(matrix, 2, "top"), rtol=1e-12)


def test_a_start_near_the_eigenvector_saves_products():
    matrix = with_eigenvalues(np.linspace(0.0, 1.0, 300) ** 0.5)
    cold = eigenpairs(matrix, k=1, tol=1e-3)
    near = cold.vectors[0] + 0.01 * random(300, seed=5) / 300**0.5
    before = near.clone()
    warm = eigenpairs(matrix, k=1, tol=1e-3, start=near)
    assert warm.products < cold.products / 2
    assert warm.values[0] == pytest.approx(1, rel=1e-4)
    assert torch.equal(near, before)


def test_a_start_is_the_first_of_the_block():
    matrix = Counting(with_eigenvalues([3.0, 3.0, 1.0, 0.5, 0.2]))
    space = Krylov(matrix, most=5, block=2, generator=generator(), start=2 * torch.ones(5))
    torch.testing.assert_close(space.basis.rows[0], torch.full((5,), 5**-0.5, dtype=F64))
    assert space.basis.count == 2
    pairs = eigenpairs(matrix.matrix, k=2, block=2, tol=1e-9, start=torch.ones(5, dtype=F64))
    np.testing.assert_allclose(pairs.values, [3, 3], rtol=1e-12)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (torch.ones(4), r"start has shape \[4\]; the matrix has 5 rows"),
        (torch.zeros(5), "finite, and not 0"),
        (torch.full((5,), torch.nan), "finite, and not 0"),
    ],
)
def test_starts_that_make_no_sense(start, says):
    with pytest.raises(UsageError, match=says):
        eigenpairs(torch.eye(5, dtype=F64), k=1, start=start)


@pytest.mark.parametrize("left", [1.0, 1e-3, 1e-6], ids="{} of it left".format)
def test_what_is_left_of_a_float32_vector_is_orthogonal_and_the_coefficients_say_what_was_removed(left):
    n, k = 20_000, 8
    basis = Basis(k, SimpleNamespace(shape=(n, n), dtype=torch.float32, device=torch.device("cpu")))
    for row in random(k, n):
        basis.append(row.float())
    q, _ = torch.linalg.qr(basis.rows.double().T)
    outside = random(n, seed=1)
    outside -= q @ (q.T @ outside)
    before = (q.sum(1) + left * outside / outside.norm()).float()
    after = before.clone()
    found = basis.remove_from(after)
    assert (basis.rows.double() @ after.double()).abs().max() < 3e-7 * left
    removed = found @ basis.rows.double()
    torch.testing.assert_close(after.double() + removed, before.double(), rtol=0, atol=1e-8)
