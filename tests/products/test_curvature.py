"""Products with the Hessian and the Gauss-Newton matrix against closed forms in numpy and against differences."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from cases import (
    F64,
    Shift,
    bowl,
    deep,
    examples,
    half_square,
    random,
    same_bits,
    scrambled,
    shallow,
    softmax_regression,
)
from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.objective import Objective
from sharpmin.products import Curvature, hessian_product
from sharpmin.zoo import build

EXACT = ("forward-over-reverse", "double-backward")
BOTH = ("hessian", "gauss-newton")


def dense(curvature):
    """The whole matrix, a product a column."""
    return torch.stack([curvature @ e for e in torch.eye(curvature.size, dtype=curvature.dtype)], 1)


def rough(*products):
    """Products by differences, to compare within their error."""
    return {"rtol": 1e-5, "atol": 1e-6 * max(p.abs().max().item() for p in products)}


# closed forms


def linear_regression():
    """|W x + b - y|^2 / 2 with the Hessian I (x) [x 1]^T [x 1] / N, weights before biases."""
    data = SimpleNamespace(inputs=random(23, 4), targets=random(23, 2, seed=1))
    x = data.inputs.numpy()
    ones, identity = np.ones((23, 1)), np.eye(2)
    top = np.hstack([np.kron(identity, x.T @ x), np.kron(identity, x.T @ ones)])
    bottom = np.hstack([np.kron(identity, ones.T @ x), np.kron(identity, ones.T @ ones)])
    return nn.Linear(4, 2, dtype=F64), data, squared_error, np.vstack([top, bottom]) / 23


def squared_error(model, batch):
    return (model(batch[0]) - batch[1]).square().sum(1) / 2


def logistic_regression():
    """log(1 + exp(-y w x)) with the Hessian X^T diag(p (1 - p)) X / N."""
    data = examples(23, 4, classes=2)
    x, model = data.inputs.numpy(), nn.Linear(4, 1, bias=False, dtype=F64)
    p = 1 / (1 + np.exp(-x @ model.weight.detach().numpy()[0]))
    return model, data, logistic, (x.T * (p * (1 - p))) @ x / 23


def logistic(model, batch):
    return F.softplus((1 - 2 * batch[1]) * model(batch[0]).squeeze(1))


def softmax():
    """Cross-entropy with the Hessian sum (diag p - p p^T) (x) [x 1]^T [x 1] / N, weights before biases."""
    problem = softmax_regression()
    x = problem.data.inputs.numpy()
    w, b = (p.detach().numpy() for p in problem.model.parameters())
    p = np.exp(x @ w.T + b)
    p /= p.sum(1, keepdims=True)
    inner = np.einsum("ij,jk->ijk", p, np.eye(3)) - np.einsum("ij,ik->ijk", p, p)
    blocks = [
        [np.einsum("iab,ic,id->acbd", inner, x, x).reshape(12, 12), np.einsum("iab,ic->acb", inner, x).reshape(12, 3)],
        [np.einsum("iab,id->abd", inner, x).reshape(3, 12), inner.sum(0)],
    ]
    return problem.model, problem.data, None, np.block(blocks) / len(x)


@pytest.mark.parametrize("batch_size", [None, 1, 5])
@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("matrix", BOTH)
@pytest.mark.parametrize("problem", [linear_regression, logistic_regression, softmax])
def test_closed_forms_whatever_the_batches(problem, matrix, method, batch_size):
    model, data, loss, expected = problem()
    f = Objective(model, data, batch_size=batch_size, **({"loss": loss} if loss else {}))
    curvature = Curvature(f, matrix=matrix, method=method)
    np.testing.assert_allclose(dense(curvature), expected, rtol=1e-11, atol=1e-14)
    assert (curvature.method, curvature.products) == (method, curvature.size)


def test_finite_differences_are_near_the_closed_form():
    model, data, _, expected = softmax()
    found = dense(Curvature(Objective(model, data, batch_size=5), method="finite-differences"))
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_float32_is_the_closed_form_to_rounding():
    model, data, _, expected = softmax()
    model, data = model.float(), Examples(data.inputs.float(), data.targets)
    np.testing.assert_allclose(dense(Curvature(Objective(model, data, batch_size=5))), expected, atol=1e-6)


def test_any_theta_not_only_the_models():
    problem = softmax_regression()
    f, theta = Objective(problem.model, problem.data), random(15, seed=4)
    moved = Curvature(f, theta)
    problem.model.load_state_dict({name: piece.clone() for name, piece in f.pieces(theta).items()})
    assert torch.equal(dense(moved), dense(Curvature(f)))


# networks, against differences


def by_differences(f, v, h=1e-6):
    """(g(theta + h v) - g(theta - h v)) / 2h."""
    _, ahead = f.value_and_grad(f.theta + h * v)
    _, behind = f.value_and_grad(f.theta - h * v)
    return (ahead - behind) / (2 * h)


def running_norm():
    """A convolutional network with BatchNorm's running statistics, a smooth activation and a skip that is nested."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.GELU(), nn.Flatten(), nn.Linear(192, 3))
    model.double()[1].running_mean.fill_(0.3)
    return model


NETWORKS = {"shallow": (shallow, (2, 8, 8)), "deep": (deep, (2, 7, 7)), "running": (running_norm, (2, 8, 8))}


def objective_of(network, *, count=17, batch_size=7, **settings):
    make, shape = NETWORKS[network]
    settings = {"batch_norm": "running" if network == "running" else "batch", **settings}
    return Objective(make(), examples(count, *shape), batch_size=batch_size, **settings)


@pytest.mark.parametrize("method", ["auto", *EXACT])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_product_is_the_derivative_of_the_gradient(network, method):
    f = objective_of(network)
    curvature = Curvature(f, method=method)
    for seed in range(3):
        v = random(f.layout.size, seed=seed)
        product, expected = curvature @ v, by_differences(f, v)
        torch.testing.assert_close(product, expected, **rough(product))
    if method == "auto":
        assert curvature.method == ("forward-over-reverse" if network == "running" else "blocked")


def logits(f, theta, batch):
    with torch.no_grad():
        found = []
        network = f.at(f.pieces(theta), plain=True)
        f.score(lambda x: found.append(network(x)) or found[0], batch)
        return found[0].double().numpy()


@pytest.mark.parametrize("network", NETWORKS)
def test_gauss_newton_is_the_jacobian_by_differences_around_the_softmax_in_closed_form(network):
    f, h = objective_of(network), 1e-6
    v = random(f.layout.size, seed=3)
    expected = 0.0
    for batch in f.batches():
        z = logits(f, f.theta, batch)
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        moved = (logits(f, f.theta + h * v, batch) - logits(f, f.theta - h * v, batch)) / (2 * h)
        expected += (p * moved**2).sum() - ((p * moved).sum(1) ** 2).sum()
    for method in ("auto", *EXACT):
        assert v @ (Curvature(f, matrix="gauss-newton", method=method) @ v) == pytest.approx(expected / 17, rel=1e-6)


@pytest.mark.parametrize("matrix", BOTH)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_exact_method_agrees_on_every_entry(network, matrix):
    f = objective_of(network)
    vs = random(4, f.layout.size, seed=2)
    one, *others = (
        torch.stack([Curvature(f, matrix=matrix, method=method) @ v for v in vs]) for method in ("auto", *EXACT)
    )
    for other in others:
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12 * one.abs().max().item())


def test_the_dense_hessian_of_a_convolutional_network():
    # By differences. torch.func.hessian is no oracle here: under vmap PyTorch 2.13 gives BatchNorm's backward pass
    # wrongly, and the matrix that comes out is not symmetric.
    f = objective_of("shallow", count=6, batch_size=None)
    curvature, columns = Curvature(f), range(0, f.layout.size, 7)
    unit = torch.eye(f.layout.size, dtype=F64)[columns]
    found = torch.stack([curvature @ e for e in unit], 1)
    expected = torch.stack([by_differences(f, e) for e in unit], 1)
    torch.testing.assert_close(found, expected, **rough(expected))
    square = found[columns]
    torch.testing.assert_close(square, square.T, rtol=1e-10, atol=1e-12 * square.abs().max().item())


def test_float32_networks_are_near_float64():
    wide = objective_of("shallow")
    data = Examples(wide.data.inputs.float(), wide.data.targets)
    narrow = Objective(shallow(dtype=torch.float32), data, batch_norm="batch", batch_size=7)
    v = random(wide.layout.size)
    for matrix in BOTH:
        expected = Curvature(wide, matrix=matrix) @ v
        for method in ("auto", *EXACT):
            found = Curvature(narrow, matrix=matrix, method=method) @ v.float()
            assert found.dtype == torch.float32
            assert (found - expected).norm() < 1e-4 * expected.norm()


def test_gauss_newton_has_no_negative_direction():
    f = objective_of("deep")
    vs = random(5, f.layout.size, seed=2)
    matrix = Curvature(f, matrix="gauss-newton")
    assert all(v @ (matrix @ v) >= 0 for v in vs)


# parts of the weights


@pytest.mark.parametrize("matrix", BOTH)
@pytest.mark.parametrize(
    "patterns", [["0.*"], ["4.weight"], ["5.*"], ["9.*", "12.weight"], ["12.bias"], ["1.bias", "12.*"]]
)
def test_layers_give_the_diagonal_block(matrix, patterns):
    f = objective_of("shallow")
    layer = Curvature(f, matrix=matrix, layers=patterns)
    where = torch.cat(
        [torch.full((s.numel(),), n in layer.names) for n, s in zip(f.layout.names, f.layout.shapes, strict=True)]
    )
    v = random(layer.size, seed=8)
    everywhere = torch.zeros(f.layout.size, dtype=F64).masked_scatter(where, v)
    expected = (Curvature(f, matrix=matrix, method="double-backward") @ everywhere)[where]
    for method in ("auto", *EXACT):
        found = Curvature(f, matrix=matrix, layers=patterns, method=method) @ v
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11 * expected.abs().max().item())
    assert Curvature(f, matrix=matrix, layers=patterns).method == "auto"


def test_layers_of_finite_differences():
    model, data, _, expected = softmax()
    found = dense(Curvature(Objective(model, data), method="finite-differences", layers="bias"))
    np.testing.assert_allclose(found, expected[12:, 12:], atol=1e-8)


def test_frozen_weights_are_no_part_of_it():
    model, data, _, expected = softmax()
    model.bias.requires_grad_(False)
    f = Objective(model, data)
    np.testing.assert_allclose(dense(Curvature(f)), expected[:12, :12], rtol=1e-11, atol=1e-14)
    with pytest.raises(UsageError, match="none of these is in theta"):
        Curvature(f, layers=["bias"])
    frozen = shallow()
    frozen[0].weight.requires_grad_(False)
    f = Objective(frozen, examples(17, 2, 8, 8), batch_norm="batch", batch_size=7)
    v = random(f.layout.size)
    found = Curvature(f)
    torch.testing.assert_close(found @ v, by_differences(f, v), **rough(found @ v))
    assert found.method == "blocked"


def tied():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 3))
    model.double()[2].weight = model[0].weight
    return model


def test_tied_weights_move_together():
    f = Objective(tied(), examples(9, 3), batch_norm="batch")
    v = random(f.layout.size)
    for method in ("blocked", *EXACT):
        product = Curvature(f, method=method) @ v
        torch.testing.assert_close(product, by_differences(f, v), **rough(product))


def test_an_unused_weight_has_only_zeros():
    problem = bowl()
    problem.model.unused = nn.Parameter(torch.ones(2, dtype=F64))
    f = Objective(problem.model, problem.data, loss=half_square)
    expected = np.diag([1.0, 1.0, 1.0, 0.0, 0.0])
    for method in (*EXACT, "finite-differences"):
        found = dense(Curvature(f, method=method))
        assert not found.requires_grad
        np.testing.assert_allclose(found, expected, atol=1e-8)
    assert not (Curvature(f, layers=["unused"]) @ torch.ones(2, dtype=F64)).any()


def by_values(f, h=1e-4):
    """The Hessian from values of f alone."""
    steps = h * torch.eye(f.layout.size, dtype=F64)
    near = {sign: [[f.value(f.theta + a + sign * b) for b in steps] for a in steps] for sign in (1, -1)}
    away = {sign: [[f.value(f.theta - a + sign * b) for b in steps] for a in steps] for sign in (1, -1)}
    ahead, behind = (torch.tensor(side[1], dtype=F64) - torch.tensor(side[-1], dtype=F64) for side in (near, away))
    return (ahead - behind) / (4 * h**2)


def near_values(expected):
    """A Hessian by values, to compare within its error."""
    return {"rtol": 0, "atol": 1e-4 * expected.abs().max().item()}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("normalise", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
@pytest.mark.parametrize("dim", [0, 1, None])
def test_a_normalised_weight(normalise, dim):
    model = scrambled(nn.Sequential(normalise(nn.Linear(2, 3), dim=dim), nn.Tanh(), nn.Linear(3, 3)), F64)
    f = Objective(model, examples(9, 2))
    expected = by_values(f)
    for method in EXACT:
        torch.testing.assert_close(dense(Curvature(f, method=method)), expected, **near_values(expected))


@pytest.mark.parametrize("inplace", [False, True])
def test_hardsigmoid(inplace):
    model = scrambled(nn.Sequential(nn.Linear(2, 3), nn.Hardsigmoid(inplace=inplace), nn.Linear(3, 3)), F64)
    f = Objective(model, examples(9, 2))
    expected = by_values(f)
    for method in EXACT:
        torch.testing.assert_close(dense(Curvature(f, method=method)), expected, **near_values(expected))


def compiled_whole(network):
    network.compile(backend="aot_eager")
    return network


def compiled_part(network):
    network[1] = torch.compile(network[1], backend="aot_eager")
    return network


@pytest.mark.parametrize("compiled", [compiled_whole, compiled_part])
@pytest.mark.parametrize("matrix", BOTH)
@pytest.mark.parametrize("method", ["auto", *EXACT])
def test_what_torch_compile_made_of_a_part_is_not_run(compiled, matrix, method):
    network, batch = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double(), examples(9, 4)
    v = random(43)
    plain = Curvature(Objective(network, batch), matrix=matrix, method=method) @ v
    value = Objective(network, batch).value(Objective(network, batch).theta)
    f = Objective(compiled(network), batch)
    assert torch.equal(Curvature(f, matrix=matrix, method=method) @ v, plain)
    assert f.value(f.theta) == pytest.approx(value)


def test_a_loss_that_is_compiled_is_run_as_it_is_written():
    network, batch = nn.Linear(4, 3).double(), examples(9, 4)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1], reduction="none")

    v = random(15)
    plain = Curvature(Objective(network, batch, loss=loss)) @ v
    compiled = torch.compile(loss, backend="aot_eager")
    assert torch.equal(Curvature(Objective(network, batch, loss=compiled)) @ v, plain)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("scripted", ["the network", "a layer"])
@pytest.mark.parametrize("matrix", BOTH)
def test_torchscript_that_has_been_optimised(scripted, matrix):
    plain = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 3))).double()
    model = (
        torch.jit.script(plain) if scripted == "the network" else nn.Sequential(plain[0], torch.jit.script(plain[1]))
    )
    expected = dense(Curvature(Objective(plain, examples(9, 2)), matrix=matrix, method="double-backward"))
    f = Objective(model, examples(9, 2))
    for _ in range(4):
        f.value_and_grad(f.theta)
    curvature = Curvature(f, matrix=matrix)
    torch.testing.assert_close(dense(curvature), expected, rtol=0, atol=1e-10)
    assert curvature.passed_over == {"forward-over-reverse": "TorchScript loses forward derivatives"}
    with pytest.raises(UsageError, match="TorchScript loses forward derivatives once it is optimised"):
        Curvature(f, matrix=matrix, method="forward-over-reverse")


@pytest.mark.parametrize("matrix", BOTH)
@pytest.mark.parametrize("method", EXACT)
def test_the_caller_may_have_gradients_off(matrix, method):
    f = Objective(softmax_regression().model, examples(23, 4))
    expected = dense(Curvature(f, matrix=matrix, method=method))
    with torch.no_grad():
        assert torch.equal(dense(Curvature(f, matrix=matrix, method=method)), expected)
    assert expected.any()


class HalfProduct(torch.autograd.Function):
    """a b, with a backward pass that forgets how the one slope depends on the other factor."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, slope):
        a, b = ctx.saved_tensors
        return slope * b.detach(), slope * a


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Parameter(random(4, seed=seed)) for seed in (1, 2))

    def forward(self):
        return HalfProduct.apply(self.a, self.b)


@pytest.mark.parametrize("method", ["auto", "double-backward"])
def test_a_matrix_that_is_not_symmetric_is_refused(method):
    f = Objective(Factors(), [None], loss=lambda model, _: model().sum()[None])
    with pytest.raises(UsageError, match="is not symmetric: some operation of this network has a wrong second deriv"):
        Curvature(f, method=method) @ torch.ones(8, dtype=F64)
    by_hand = np.kron([[0, 1], [1, 0]], np.eye(4))
    np.testing.assert_allclose(dense(Curvature(f, method="finite-differences")), by_hand, atol=1e-6)


class Growing(nn.Module):
    """w^3 without a forward derivative, times the number of passes so far."""

    def __init__(self):
        super().__init__()
        self.w, self.passes = nn.Parameter(torch.ones(3, dtype=F64)), 0

    def forward(self):
        self.passes += 1
        return Cubed.apply(self.w) * self.passes


def test_an_f_that_changes_is_not_blamed_on_an_operation():
    f = Objective(Growing(), [None], loss=lambda model, _: model().sum()[None])
    with pytest.raises(UsageError, match="is not symmetric: f is another one at each pass"):
        Curvature(f) @ torch.ones(3, dtype=F64)


def test_activations_computed_again_in_the_backward_pass():
    class Again(nn.Sequential):
        def forward(self, x):
            return self[1](checkpoint(self[0], x, use_reentrant=False))

    model = scrambled(Again(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.LayerNorm(3)), nn.Linear(3, 3)), F64)
    f = Objective(model, examples(9, 2))
    curvature = Curvature(f, f.theta + 0.1)
    moved = Objective(model, examples(9, 2))
    with torch.no_grad():
        nn.utils.vector_to_parameters(moved.theta + 0.1, model.parameters())
    expected = by_values(moved)
    torch.testing.assert_close(dense(curvature), expected, **near_values(expected))


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature():
    f = Objective(Shift(3), examples(5, 3), loss=lambda model, batch: model(batch[0]).sum(1))
    for matrix in BOTH:
        for method in EXACT:
            assert not (Curvature(f, matrix=matrix, method=method) @ torch.ones(3, dtype=F64)).any()


# which method, and why


class Cubed(torch.autograd.Function):
    """x^3 without a forward derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, dy):
        return 3 * ctx.saved_tensors[0] ** 2 * dy


class CubedOnce(Cubed):
    """The same, and its backward pass cannot be differentiated."""

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        return 3 * ctx.saved_tensors[0] ** 2 * dy


class Cubes(nn.Module):
    """(x - w)^3 by one of these functions."""

    def __init__(self, function):
        super().__init__()
        self.w, self.function = nn.Parameter(random(3, seed=5)), function

    def forward(self, x):
        return self.function.apply(x - self.w)


def cubes(function):
    """f = sum (x - w)^6 / 2, with its Hessian 15 sum (x - w)^4 and Gauss-Newton's 9 sum (x - w)^4, both diagonal."""
    f = Objective(Cubes(function), examples(6, 3), loss=half_square)
    fourth = (f.data.inputs - f.theta).pow(4).mean(0).diag()
    return f, {"hessian": 15 * fourth, "gauss-newton": 9 * fourth}


@pytest.mark.parametrize("matrix", BOTH)
def test_an_operator_without_a_forward_derivative_is_differentiated_twice(matrix):
    f, expected = cubes(Cubed)
    curvature = Curvature(f, matrix=matrix)
    assert curvature.method == "auto"
    torch.testing.assert_close(dense(curvature), expected[matrix])
    assert curvature.method == "double-backward"
    assert "jvp" in curvature.passed_over["forward-over-reverse"]


def through_the_loss(model, batch):
    return CubedOnce.apply(model(batch[0])).square().sum(1) / 2


@pytest.mark.parametrize("matrix", BOTH)
def test_an_operator_that_cannot_be_differentiated_twice_is_named_and_never_taken_for_0(matrix):
    inside, _ = cubes(CubedOnce)
    outside = Objective(Shift(3), examples(6, 3), loss=through_the_loss)
    for f in (inside, outside):
        with pytest.raises(UsageError, match=r'double-backward: .*once_differentiable.*method "finite-differences"'):
            Curvature(f, matrix=matrix) @ torch.ones(3, dtype=F64)
        with pytest.raises(NotImplementedError, match="once_differentiable"):
            Curvature(f, matrix=matrix, method="double-backward") @ torch.ones(3, dtype=F64)


def test_finite_differences_need_only_gradients():
    f, expected = cubes(CubedOnce)
    found = dense(Curvature(f, method="finite-differences"))
    torch.testing.assert_close(found, expected["hessian"], rtol=1e-6, atol=1e-6)


class LastState(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.cells(x)[0][:, -1])


def test_a_recurrent_network():
    f = Objective(LastState().double(), examples(6, 5, 3))
    v = random(f.layout.size)
    curvature = Curvature(f)
    torch.testing.assert_close(curvature @ v, by_differences(f, v), **rough(curvature @ v))


def test_attention_has_an_exact_product():
    model = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dtype=F64)
    f = Objective(nn.Sequential(model, nn.Flatten(), nn.Linear(20, 3, dtype=F64)), examples(6, 5, 4))
    v = random(f.layout.size)
    curvature = Curvature(f)
    torch.testing.assert_close(curvature @ v, by_differences(f, v), **rough(curvature @ v))
    assert curvature.method == "forward-over-reverse"


def weight_decay(model, batch):
    """Cross-entropy with a penalty on the model's own weights."""
    penalty = sum(p.square().sum() for p in model.parameters()) / 2
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none") + penalty


def test_a_loss_that_looks_inside_the_model_is_differentiated_as_a_whole():
    plain, decayed = (objective_of("shallow", **settings) for settings in ({}, {"loss": weight_decay}))
    v, curvature = random(plain.layout.size), Curvature(decayed)
    torch.testing.assert_close(curvature @ v, Curvature(plain) @ v + v, rtol=1e-10, atol=1e-10)
    assert curvature.method == "forward-over-reverse"
    assert "looks at the model's parameters" in curvature.passed_over["blocked"]


def twice(model, batch):
    return F.cross_entropy(model(batch[0]) + model(batch[0]), batch[1], reduction="none")


def by_name(model, batch):
    return F.cross_entropy(model(input=batch[0]), batch[1], reduction="none")


def test_a_loss_that_calls_the_model_in_another_way_is_differentiated_as_a_whole():
    f = objective_of("shallow", loss=twice)
    v, curvature = random(f.layout.size), Curvature(f)
    torch.testing.assert_close(curvature @ v, by_differences(f, v), **rough(curvature @ v))
    assert curvature.method == "forward-over-reverse"
    named = Curvature(objective_of("shallow", loss=by_name))
    torch.testing.assert_close(named @ v, Curvature(objective_of("shallow")) @ v, rtol=1e-10, atol=1e-10)
    assert named.method == "forward-over-reverse"


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (weight_decay, "looks at the model's parameters"),
        (twice, "calls the model more than once"),
        (lambda model, batch: model.head(batch[0]), "uses the model's .head"),
        (lambda model, batch: list(model.modules()), "looks at the model's modules"),
        (lambda model, batch: batch[0].flatten(1).sum(1), "does not call the model"),
    ],
)
@pytest.mark.parametrize("network", ["shallow", "running"])
def test_gauss_newton_refuses_a_loss_that_is_no_function_of_the_outputs(network, loss, says):
    f = objective_of(network, loss=loss)
    with pytest.raises(UsageError, match=f"{says}.*exactly once"):
        Curvature(f, matrix="gauss-newton") @ random(f.layout.size)


class Named(nn.Module):
    """A model with keyword arguments and a dictionary of outputs, some of them no numbers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3, dtype=F64)

    def forward(self, *, x, scale):
        logits = scale * self.layer(x)
        return {"logits": logits, "likeliest": logits.argmax(1), "extra": (self.layer.weight.sum(), "name")}


def of_a_dictionary(model, batch):
    outputs = model(x=batch[0], scale=2.0)
    return F.cross_entropy(outputs["logits"], batch[1], reduction="none") + outputs["extra"][0] ** 2 / 2


@pytest.mark.parametrize("method", EXACT)
def test_outputs_and_arguments_of_any_kind(method):
    f = Objective(Named(), examples(7, 4), loss=of_a_dictionary, batch_size=3)
    matrix, v = Curvature(f, matrix="gauss-newton", method=method), random(15)
    assert v @ (matrix @ v) == pytest.approx((v @ by_differences(f, v)).item(), rel=1e-6)  # outputs linear in theta


def test_a_chain_of_the_paper_is_blocked():
    model = build("F1", seed=0, shape=(9,), classes=3).double()
    f = Objective(model, examples(11, 9), batch_norm="batch")
    v, curvature = F.normalize(random(f.layout.size), dim=0), Curvature(f)
    torch.testing.assert_close(curvature @ v, by_differences(f, v), **rough(curvature @ v))
    assert curvature.method == "blocked"


@pytest.mark.parametrize("matrix", BOTH)
@pytest.mark.parametrize(("held", "asked"), [(torch.float32, F64), (F64, torch.float32)])
def test_a_theta_of_another_dtype_than_the_chains_goes_by_autograd(held, asked, matrix):
    f = Objective(shallow(dtype=held), examples(17, 2, 8, 8, dtype=held), batch_norm="batch")
    v, curvature = random(f.layout.size, dtype=asked), Curvature(f, f.theta.to(asked), matrix=matrix)
    expected = Curvature(f, matrix=matrix) @ v.to(held)
    near = {"rtol": 1e-3, "atol": 1e-4 * expected.abs().max().item()}
    torch.testing.assert_close((curvature @ v).to(held), expected, **near)
    assert (curvature.method, (curvature @ v).dtype) == ("forward-over-reverse", asked)
    with pytest.raises(UsageError, match="a theta of the same dtype"):
        Curvature(f, f.theta.to(asked), matrix=matrix, method="blocked")


def test_bfloat16_is_not_blocked_and_is_near():
    data = examples(17, 2, 8, 8, dtype=torch.float32)
    exact, rounded = (
        Objective(shallow(dtype=torch.float32), data, batch_norm="batch", precision=precision)
        for precision in ("float32", "bfloat16")
    )
    v = random(exact.layout.size, dtype=torch.float32)
    curvature = Curvature(rounded)
    near, expected = curvature @ v, Curvature(exact) @ v
    assert curvature.method == "forward-over-reverse"
    assert 0 < (near - expected).norm() < 0.3 * expected.norm()


@pytest.mark.parametrize(("precision", "eps"), [("float32", 2**-23), ("tf32", 2**-10), ("bfloat16", 2**-7)])
def test_differences_step_over_what_the_precision_rounds(precision, eps, monkeypatch):
    f = Objective(shallow(dtype=torch.float32), examples(17, 2, 8, 8, dtype=torch.float32), batch_norm="batch")
    f.precision, asked, gradient = precision, [], f.value_and_grad  # "tf32" without a GPU
    monkeypatch.setattr(f, "value_and_grad", lambda theta: (asked.append(theta), gradient(theta))[1])
    _ = Curvature(f, method="finite-differences") @ random(f.layout.size, dtype=torch.float32)
    ahead, behind = asked
    assert (ahead - behind).norm().item() / 2 == pytest.approx(eps ** (1 / 3) * f.theta.norm().item(), rel=1e-3)


def test_a_model_of_16_bits_is_multiplied_in_float32():
    f = Objective(shallow(dtype=torch.bfloat16), examples(17, 2, 8, 8, dtype=torch.float32), batch_norm="batch")
    v, curvature = random(f.layout.size, dtype=torch.float32), Curvature(f)
    expected = Curvature(f, method="double-backward") @ v
    torch.testing.assert_close(curvature @ v, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
    assert (curvature.method, (curvature @ v).dtype) == ("blocked", torch.float32)


# what is kept


class CountedLoss:
    """Cross-entropy that draws noise and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, model, batch):
        self.calls += 1
        logits = model(batch[0])
        return F.cross_entropy(logits * (1 + torch.rand(3)), batch[1], reduction="none")


@pytest.mark.parametrize("matrix", BOTH)
def test_what_is_kept_gives_the_same_bits_as_what_is_computed_again(matrix):
    losses = CountedLoss(), CountedLoss()
    kept, again = (
        Curvature(objective_of("shallow", loss=loss), matrix=matrix, memory=memory)
        for loss, memory in zip(losses, (None, 0), strict=True)
    )
    vs = random(3, kept.size)
    assert all(torch.equal(kept @ v, again @ v) for v in vs)
    assert [loss.calls for loss in losses] == [3, 9]  # 17 examples in batches of 7


def test_a_product_does_not_depend_on_those_before():
    f = objective_of("deep")
    one, other = Curvature(f), Curvature(f)
    v, u = random(2, one.size)
    one @ u
    assert torch.equal(one @ v, other @ v)


def test_a_pass_that_fails_leaves_nothing_behind():
    class Failing(CountedLoss):
        def __call__(self, model, batch):
            if self.calls == 1:
                self.calls += 1
                raise ArithmeticError
            return super().__call__(model, batch)

    whole, failing = (Curvature(objective_of("shallow", loss=loss)) for loss in (CountedLoss(), Failing()))
    v = random(whole.size)
    with pytest.raises(ArithmeticError):
        failing @ v
    assert torch.equal(failing @ v, whole @ v)


# manners


class Restless(nn.Module):
    """Draws noise, counts its calls in a buffer, and fails when told to."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
        self.register_buffer("calls", torch.zeros(()))
        self.fails = False

    def forward(self, x):
        self.calls += 1
        noisy = self.norm(self.layer(x)) + torch.randn(3)
        if self.fails:
            raise ArithmeticError
        return noisy


@pytest.mark.parametrize("method", [*EXACT, "finite-differences"])
@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize("fails", [False, True])
def test_weights_buffers_modes_and_random_state_come_back(method, batch_norm, fails):
    model = Restless()
    model.norm.eval()
    model.fails = fails
    before, random_state = {k: t.clone() for k, t in model.state_dict().items()}, torch.get_rng_state()
    f = Objective(model, examples(10, 4, dtype=torch.float32), batch_norm=batch_norm, batch_size=4)
    v, theta = random(f.layout.size, dtype=torch.float32), f.theta + 1
    kept = v.clone(), theta.clone()
    try:
        one, other = (Curvature(f, theta, method=method) @ v for _ in range(2))
        assert torch.equal(one, other)
    except ArithmeticError:
        assert fails
    assert same_bits(before, model.state_dict())
    assert [m.training for m in model.modules()] == [True, True, False]
    assert model.norm.track_running_stats
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(kept[0], v)
    assert torch.equal(kept[1], theta)
    assert not theta.requires_grad


def test_a_chain_comes_back_as_it_was():
    f = objective_of("shallow")
    f.model.train()
    before, kept = {k: t.clone() for k, t in f.model.state_dict().items()}, f.data.inputs.clone()
    Curvature(f) @ random(f.layout.size)
    assert same_bits(before, f.model.state_dict())
    assert torch.equal(kept, f.data.inputs)
    assert all(m.training for m in f.model.modules())


def test_one_product():
    f = objective_of("shallow")
    v, theta = random(f.layout.size), f.theta + 0.1
    assert torch.equal(hessian_product(f, theta, v), Curvature(f, theta) @ v)


@pytest.mark.parametrize("method", ["auto", *EXACT, "finite-differences"])
def test_what_is_not_finite_is_refused(method):
    f = objective_of("shallow")
    with pytest.raises(UsageError, match="is not finite at theta"):
        Curvature(f, torch.full_like(f.theta, torch.nan), method=method) @ f.theta
    with pytest.raises(UsageError, match="vector to multiply with is not finite"):
        Curvature(f, method=method) @ torch.full_like(f.theta, torch.inf)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"matrix": "fisher"}, "unknown matrix 'fisher'"),
        ({"method": "exact"}, "unknown method 'exact'"),
        (
            {"matrix": "gauss-newton", "method": "finite-differences"},
            "finite differences of gradients are the Hessian's",
        ),
        ({"method": "blocked"}, 'method "blocked" knows flat chains'),
        ({"layers": ["2.*"]}, "no parameter matches '2.\\*'"),
        ({"theta": torch.zeros(3, dtype=F64)}, r"theta has shape \[3\]"),
    ],
)
def test_bad_arguments(settings, says):
    problem = softmax_regression()
    with pytest.raises(UsageError, match=says):
        Curvature(Objective(problem.model, problem.data), **settings)


def test_other_refusals():
    problem = softmax_regression()
    with pytest.raises(UsageError, match=r"\[14\]"):
        Curvature(Objective(problem.model, problem.data)) @ torch.ones(14, dtype=F64)
    with pytest.raises(UsageError, match="recalibrated"):
        Curvature(Objective(problem.model, problem.data, batch_norm="recalibrate"))
    with pytest.raises(UsageError, match="the data gave no examples"):
        Curvature(Objective(problem.model, [])) @ torch.ones(15, dtype=F64)
