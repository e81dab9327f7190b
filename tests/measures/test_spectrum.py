"""Eigenvalues of f: closed forms, networks, and what comes with them."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, examples, random, shallow, softmax_regression
from sharpmin.errors import UsageError
from sharpmin.measures import spectrum
from sharpmin.objective import Objective
from sharpmin.products import Curvature


def squared(model, batch):
    return model(batch[0]).square().sum(1) / 2


def test_least_squares_has_the_eigenvalues_of_its_data():
    data = examples(50, 6)
    f = Objective(nn.Linear(6, 1, bias=False, dtype=F64), data, loss=squared, batch_size=20)
    expected = np.linalg.svd(data.inputs.numpy(), compute_uv=False) ** 2 / 50
    for matrix in ("hessian", "gauss-newton"):
        found = spectrum(Curvature(f, matrix=matrix), k=6, tol=1e-10)
        np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-12)


def test_several_outputs_have_each_eigenvalue_several_times():
    data = examples(50, 6)
    f = Objective(nn.Linear(6, 3, bias=False, dtype=F64), data, loss=squared)
    expected = np.repeat(np.linalg.svd(data.inputs.numpy(), compute_uv=False) ** 2 / 50, 3)
    found = spectrum(f, k=7, tol=1e-8, block=3)
    np.testing.assert_allclose(found.eigenvalues, expected[:7], rtol=1e-10)


class Saddle(nn.Module):
    """w_0^2 / 2 - 3 w_1^2 / 2 + w_2^4, whatever the inputs."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 1.0, 0.0], dtype=F64))

    def forward(self, x):
        w = self.w
        return x[:, 0] * 0 + w[0] ** 2 / 2 - 3 * w[1] ** 2 / 2 + w[2] ** 4


def test_a_saddle_has_a_negative_eigenvalue_and_a_flat_direction_a_zero():
    f = Objective(Saddle(), examples(4, 2), loss=lambda model, batch: model(batch[0]))
    found = spectrum(f, k=3)
    np.testing.assert_allclose(found.eigenvalues, [1, 0, -3], atol=1e-12)
    np.testing.assert_allclose(found.eigenvectors.abs(), np.eye(3)[[0, 2, 1]], atol=1e-12)
    lowest = spectrum(f, k=1, which="bottom")
    assert lowest.eigenvalues.item() == pytest.approx(-3)


@pytest.mark.parametrize("matrix", ["hessian", "gauss-newton"])
def test_a_network_has_the_eigenvalues_of_its_dense_matrix(matrix):
    f = Objective(shallow(), examples(12, 2, 8, 8), batch_norm="batch")
    curvature = Curvature(f, matrix=matrix, layers=["9.*", "10.*", "12.*"])
    dense = torch.stack([curvature @ e for e in torch.eye(curvature.size, dtype=F64)])
    expected = np.linalg.eigvalsh(dense.numpy())[::-1]
    found = spectrum(curvature, k=4, which="both", tol=1e-7)
    np.testing.assert_allclose(found.eigenvalues[:4], expected[:4], rtol=1e-9)
    lowest = slice(-4, None) if matrix == "hessian" else slice(-1, None)  # 0, of Gauss-Newton's, is found once
    np.testing.assert_allclose(found.eigenvalues[lowest], expected[lowest], rtol=1e-9, atol=1e-12)
    residuals = [
        (curvature @ v - value * v).norm() for value, v in zip(found.eigenvalues, found.eigenvectors, strict=True)
    ]
    np.testing.assert_allclose(found.residuals, residuals, rtol=1e-4, atol=1e-12)
    if matrix == "gauss-newton":
        assert found.eigenvalues.min() > -1e-12


def test_the_evidence():
    f = Objective(shallow(dtype=torch.float32), examples(12, 2, 8, 8, dtype=torch.float32), batch_norm="batch")
    found = spectrum(Curvature(f, layers=["12.*"]), k=2, seed=3)
    assert (found.matrix, found.method, found.names) == ("hessian", "blocked", ("12.weight", "12.bias"))
    assert (found.batch_norm, found.batch_size, found.precision, found.seed) == ("batch", 12, "float32", 3)
    assert (found.which, found.tol, found.status) == ("top", 1e-3, "converged")
    assert found.message.startswith("every pair asked for")
    assert found.seconds > 0
    assert found.eigenvectors.shape == (2, 18)


def test_products_are_counted_for_each_question():
    problem = softmax_regression()
    curvature = Curvature(Objective(problem.model, problem.data))
    one, other = (spectrum(curvature, k=2, seed=seed) for seed in range(2))
    assert one.products + other.products == curvature.products


def test_finite_differences_say_how_good_they_are():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data)
    exact, near = (spectrum(Curvature(f, method=method), k=2, tol=1e-9) for method in ("auto", "finite-differences"))
    assert exact.asymmetry < 1e-14 < 1e-12 < near.asymmetry < 1e-6
    np.testing.assert_allclose(near.eigenvalues, exact.eigenvalues, rtol=1e-7)
    assert near.method == "finite-differences"


def test_a_theta_of_nans_is_refused():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data)
    with pytest.raises(UsageError, match="not finite at theta"):
        spectrum(Curvature(f, torch.full_like(f.theta, torch.nan)))


def test_more_pairs_than_weights_are_refused():
    problem = softmax_regression()
    with pytest.raises(UsageError, match="16 eigenpairs of a matrix with 15 rows"):
        spectrum(Objective(problem.model, problem.data), k=16)


def test_theta_of_a_curvature_is_where_it_is_asked():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data)
    here, there = spectrum(f, k=1), spectrum(Curvature(f, random(15, seed=9)), k=1)
    assert abs(here.eigenvalues.item() - there.eigenvalues.item()) > 1e-3
