"""Products, eigenvalues and traces against other libraries: hessian-eigenthings and curvlinops."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import F64, examples, random, shallow
from sharpmin.measures import spectrum, trace
from sharpmin.objective import Objective
from sharpmin.products import Curvature

eigenthings = pytest.importorskip("hessian_eigenthings")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch, in one of its requirements
    curvlinops = pytest.importorskip("curvlinops")


def normed(sizes=(5, 5, 5)):
    """A network with batch statistics, its objective, and its batches, which are part of what f is."""
    model, data = shallow().eval(), examples(sum(sizes), 2, 8, 8)
    batches = list(zip(data.inputs.split(list(sizes)), data.targets.split(list(sizes)), strict=True))
    return model, Objective(model, batches, batch_norm="batch"), batches


def unnormed(sizes=(6, 6, 3)):
    """A network without BatchNorm. (With it curvlinops 3.0 is wrong in the rows of the scales: see below.)"""
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(108, 3)).double()
    data = examples(sum(sizes), 2, 8, 8)
    batches = list(zip(data.inputs.split(list(sizes)), data.targets.split(list(sizes)), strict=True))
    return model, Objective(model, batches), batches


@pytest.fixture(autouse=True)
def quiet():
    """PyTorch warns about itself when it first loads its forward derivatives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11 * expected.abs().max().item())


def things(matrix, model, batches):
    """The operator of hessian-eigenthings."""
    if matrix == "hessian":
        return eigenthings.HessianOperator(model, batches, eigenthings.supervised_loss(F.cross_entropy))
    loss = eigenthings.supervised_loss_of_output(F.cross_entropy)
    return eigenthings.GGNOperator(model, batches, eigenthings.supervised_forward, loss)


@pytest.mark.parametrize("matrix", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("problem", [normed, unnormed])
def test_hessian_eigenthings_gives_the_same_product(problem, matrix):
    model, f, batches = problem((5, 5, 5))
    v = random(f.layout.size)
    close(Curvature(f, matrix=matrix) @ v, things(matrix, model, batches) @ v)


@pytest.mark.parametrize("matrix", ["hessian", "gauss-newton"])
def test_batches_weigh_by_their_examples(matrix):
    model, f, batches = normed((6, 6, 3))
    v = random(f.layout.size)
    expected = sum(len(batch[0]) / 15 * (things(matrix, model, [batch]) @ v) for batch in batches)
    close(Curvature(f, matrix=matrix) @ v, expected)


@pytest.mark.parametrize(
    ("matrix", "kind"), [("hessian", "HessianLinearOperator"), ("gauss-newton", "GGNLinearOperator")]
)
def test_curvlinops_gives_the_same_product(matrix, kind):
    model, f, batches = unnormed()
    weights, v = list(model.parameters()), random(f.layout.size)
    theirs = getattr(curvlinops, kind)(model, nn.CrossEntropyLoss(), weights, batches)
    close(Curvature(f, matrix=matrix) @ v, theirs @ v)


def test_where_curvlinops_differs_a_difference_of_gradients_agrees_with_us():
    model, f, batches = normed()
    v, h = random(f.layout.size), 1e-6
    theirs = curvlinops.HessianLinearOperator(model, nn.CrossEntropyLoss(), list(model.parameters()), batches)
    ours, differing = Curvature(f) @ v, theirs @ v
    slope = (f.value_and_grad(f.theta + h * v)[1] - f.value_and_grad(f.theta - h * v)[1]) / (2 * h)
    scales = torch.cat(
        [
            torch.full((s.numel(),), name in ("1.weight", "5.weight", "10.weight"))
            for name, s in zip(f.layout.names, f.layout.shapes, strict=True)
        ]
    )
    close(ours[~scales], differing[~scales])
    torch.testing.assert_close(ours, slope, rtol=1e-5, atol=1e-6 * slope.abs().max().item())


def test_the_same_eigenvalues():
    model, f, batches = normed()
    theirs = things("hessian", model, batches)
    expected = eigenthings.lanczos(theirs, k=4, max_iter=120, which="LA", reorthogonalize=True, seed=1)
    found = spectrum(f, k=4, tol=1e-8)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-10)
    overlap = (found.eigenvectors * expected.eigenvectors).sum(1).abs()
    np.testing.assert_allclose(overlap, 1, atol=1e-8)


def test_the_same_trace_within_its_standard_error():
    model, f, batches = normed()
    theirs = things("hessian", model, batches)
    exact = sum((theirs @ e)[i].item() for i, e in enumerate(torch.eye(f.layout.size, dtype=F64)))
    found = trace(f, products=90)
    assert found.value == pytest.approx(exact, abs=4 * found.standard_error)
    assert found.standard_error < 0.05 * abs(exact)
