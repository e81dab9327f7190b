"""A GPU finds the CPU's numbers. For a machine that has one: make test ARGS="-m gpu"."""

import copy

import pytest
import torch
from torch.nn import functional as F

from sharpmin import TrainConfig, train, zoo
from sharpmin.data import Examples, synthetic
from sharpmin.measures import sharpness, spectrum, trace
from sharpmin.objective import Objective
from sharpmin.products import Curvature

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
SHAPES = {"F1": (1, 8, 8), "C1": (3, 8, 8)}


def pair(network, *, precision="float32", double=False):
    """The same f on the CPU in float64 or float32, and on the GPU."""
    shape = SHAPES[network]
    examples = synthetic(train=40, test=1, shape=shape, classes=4).train
    model = zoo.build(network, seed=0, shape=shape, classes=4).eval()
    if double:
        model, examples = model.double(), Examples(examples.inputs.double(), examples.targets)
    here = Objective(model, examples, batch_norm="batch", batch_size=16)
    there = Objective(
        copy.deepcopy(model), examples, batch_norm="batch", batch_size=16, device="cuda", precision=precision
    )
    return here, there


@pytest.fixture(params=sorted(SHAPES))
def network(request):
    return request.param


def off(found, expected):
    """The relative difference of two vectors."""
    return ((found.cpu().double() - expected.double()).norm() / expected.double().norm()).item()


@pytest.mark.parametrize("double", [True, False])
def test_value_and_gradient(network, double):
    here, there = pair(network, double=double)
    (value, gradient), (value_there, gradient_there) = (f.value_and_grad(f.theta) for f in (here, there))
    assert gradient_there.device.type == "cuda"
    assert value_there == pytest.approx(value, rel=1e-12 if double else 1e-5)
    assert off(gradient_there, gradient) < (1e-10 if double else 2e-3)


def test_float32_is_no_tf32(network):
    """In float32 the gradient is nearer to float64's than operands of 11 bits could bring it."""
    exact, _ = pair(network, double=True)
    _, full = pair(network)
    _, short = pair(network, precision="tf32")
    reference = exact.value_and_grad(exact.theta)[1]
    errors = [off(f.value_and_grad(f.theta)[1], reference) for f in (full, short)]
    assert errors[0] < 2e-3
    assert errors[0] < errors[1] < 0.5


def test_many_thetas(network):
    here, there = pair(network)
    steps = torch.randn(3, len(here.theta), generator=torch.Generator().manual_seed(0)) * 0.01
    expected = here.measure_many(here.theta + step for step in steps)
    found = there.measure_many(there.theta + step.cuda() for step in steps)
    assert [m.loss for m in found] == pytest.approx([m.loss for m in expected], rel=1e-5)
    assert [m.examples for m in found] == [40] * 3


@pytest.mark.parametrize("matrix", ["hessian", "gauss-newton"])
def test_products(network, matrix):
    here, there = (Curvature(f, matrix=matrix) for f in pair(network, double=True))
    v = torch.randn(here.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert off(there @ v.cuda(), here @ v) < 1e-8


def test_eigenvalues_and_trace(network):
    here, there = pair(network, double=True)
    tops = [spectrum(f, k=2).eigenvalues for f in (here, there)]
    assert off(tops[1], tops[0]) < 1e-3
    traces = [trace(f, products=6).value for f in (here, there)]
    assert traces[1] == pytest.approx(traces[0], rel=1e-6)


@pytest.mark.parametrize("subspace", [None, 5])
def test_metric(network, subspace):
    here, there = pair(network, double=True)
    found = [sharpness(f, subspace=subspace, iterations=3) for f in (here, there)]
    assert found[1].displacement.device.type == "cuda"
    # the corner where the search starts takes its signs from gradients that are nothing but rounding, too: C1 in blocks
    # and not in blocks, on one processor, differs alike
    assert found[1].value == pytest.approx(found[0].value, rel=1e-2 if subspace is None else 1e-6)


def test_a_few_steps_of_training():
    """F1 has no dropout, whose masks a GPU draws otherwise."""
    examples = synthetic(train=40, test=1, shape=(6,), classes=4).train
    losses = []
    for device in ("cpu", "cuda"):
        model = zoo.build("F1", seed=0, shape=(6,), classes=4)
        there = Examples(examples.inputs.to(device), examples.targets.to(device))
        train(model, there, TrainConfig(batch_size=16, epochs=2), device=device)
        with torch.no_grad():
            losses.append(F.cross_entropy(model.eval()(there.inputs), there.targets).item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_caller_s_switches_come_back(network):
    switches = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = [switch.fp32_precision for switch in switches]
    for precision in ("float32", "tf32", "bfloat16"):
        _, there = pair(network, precision=precision)
        there.value_and_grad(there.theta)
        assert [switch.fp32_precision for switch in switches] == before
