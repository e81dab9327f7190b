"""f and its gradient against closed forms and against plain PyTorch."""

import copy
import math
import threading
from collections import UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from cases import (
    F64,
    bowl,
    deep,
    examples,
    half_square,
    plain_loss,
    random,
    same_bits,
    scrambled,
    shallow,
    softmax_regression,
)
from sharpmin.batchnorm import evaluating
from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.measures import l2_sharpness
from sharpmin.objective import Objective, Scored, classification


@pytest.mark.parametrize("batch_size", [None, 1, 5, 23])
@pytest.mark.parametrize("classes", [2, 5])
def test_softmax_regression_in_closed_form(classes, batch_size):
    problem = softmax_regression(classes=classes)
    f = Objective(problem.model, problem.data, batch_size=batch_size)
    theta = random(f.layout.size, seed=4)
    value, gradient = f.value_and_grad(theta)
    assert value == pytest.approx(problem.value(theta), rel=1e-12)
    assert f.value(theta) == pytest.approx(problem.value(theta), rel=1e-12)
    np.testing.assert_allclose(gradient, problem.gradient(theta), rtol=1e-11, atol=1e-13)


def test_float32_agrees_with_the_closed_form_to_rounding():
    problem = softmax_regression(count=503, dtype=torch.float32)
    f = Objective(problem.model, problem.data, batch_size=100)
    value, gradient = f.value_and_grad(f.theta)
    assert value == pytest.approx(problem.value(f.theta), rel=1e-6)
    np.testing.assert_allclose(gradient, problem.gradient(f.theta), atol=1e-6)


def logistic(model, batch):
    """log(1 + exp(-y w x)) with y = +-1."""
    inputs, targets = batch
    return F.softplus((1 - 2 * targets) * model(inputs).squeeze(1))


def test_logistic_regression_as_a_loss_of_ones_own():
    data = examples(23, 4, classes=2)
    x, y = data.inputs.numpy(), 2 * data.targets.numpy() - 1
    w = random(4, seed=4)
    margin = y * (x @ w.numpy())
    f = Objective(nn.Linear(4, 1, bias=False, dtype=F64), data, loss=logistic, batch_size=10)
    value, gradient = f.value_and_grad(w)
    assert value == pytest.approx(np.log1p(np.exp(-margin)).mean(), rel=1e-12)
    np.testing.assert_allclose(gradient, -(y / (1 + np.exp(margin))) @ x / 23, rtol=1e-12)
    assert f.measure(w).accuracy is None


@pytest.mark.parametrize("model", [shallow(), deep()], ids=["shallow", "deep"])
@pytest.mark.parametrize("batch_size", [5, 7, 100])
def test_any_theta_equals_a_plain_evaluation(model, batch_size):
    data = examples(17, 2, 8, 8) if len(model) < 16 else examples(17, 2, 7, 7)
    f = Objective(model, data, batch_norm="batch", batch_size=batch_size)
    for theta in (f.theta, random(f.layout.size, seed=5)):
        expected = plain_loss(model, data, theta, batch_size=batch_size)
        assert f.value(theta) == pytest.approx(expected, rel=1e-12)


def test_a_float32_network_equals_a_plain_evaluation_to_rounding():
    model, data = shallow(dtype=torch.float32), examples(17, 2, 8, 8, dtype=torch.float32)
    f = Objective(model, data, batch_size=7)
    assert f.value(f.theta) == pytest.approx(plain_loss(model, data, f.theta, batch_size=7), rel=1e-5)


def test_the_gradient_is_that_of_the_value():
    f = Objective(shallow(), examples(17, 2, 8, 8), batch_size=7)
    direction = random(f.layout.size, seed=3)
    _, gradient = f.value_and_grad(f.theta)
    h = 1e-6
    slope = (f.value(f.theta + h * direction) - f.value(f.theta - h * direction)) / (2 * h)
    assert torch.dot(gradient, direction).item() == pytest.approx(slope, rel=1e-6)


def test_a_ragged_last_batch_weighs_what_it_should():
    problem = bowl(count=7)
    theta = random(3, seed=9)
    f = Objective(problem.model, problem.data, loss=half_square, batch_size=3)
    value, gradient = f.value_and_grad(theta)
    assert value == pytest.approx(problem.value(theta), rel=1e-14)
    np.testing.assert_allclose(gradient, problem.gradient(theta), rtol=1e-13)


def test_accuracy_is_the_fraction_of_hits():
    data = Examples(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    f = Objective(nn.Linear(4, 4, bias=False), data, batch_size=3)
    found = f.measure(torch.eye(4).flatten())
    assert (found.accuracy, found.examples) == (0.75, 4)


def summed(model, batch):
    return half_square(model, batch).sum(), len(batch[0])


def scored(model, batch):
    losses = half_square(model, batch)
    return Scored(losses, losses < 1)


@pytest.mark.parametrize("loss", [half_square, summed, scored])
def test_a_loss_may_return_losses_or_a_sum_with_its_count_or_hits_too(loss):
    problem = bowl()
    theta = random(3, seed=9)
    f = Objective(problem.model, problem.data, loss=loss, batch_size=3)
    value, gradient = f.value_and_grad(theta)
    assert value == pytest.approx(problem.value(theta), rel=1e-14)
    np.testing.assert_allclose(gradient, problem.gradient(theta), rtol=1e-13)


@pytest.mark.parametrize("reduce", [lambda losses: losses.mean(), lambda losses: losses[:, None]])
def test_a_loss_of_another_shape_is_refused(reduce):
    problem = bowl()
    f = Objective(problem.model, problem.data, loss=lambda *given: reduce(half_square(*given)))
    with pytest.raises(UsageError, match="one loss per example"):
        f.value(f.theta)


def test_a_list_of_batches_is_data_too():
    problem = bowl(count=7)
    batches = [(x, None) for x in problem.data.inputs.split([4, 1, 2])]
    f = Objective(problem.model, batches, loss=half_square)
    for _ in range(2):
        assert f.value(f.theta) == pytest.approx(problem.value(f.theta), rel=1e-14)


def test_inference_mode_is_named_where_it_forbids_a_gradient():
    problem = bowl()
    f = Objective(problem.model, problem.data, loss=half_square)
    with torch.inference_mode(), pytest.raises(UsageError, match=r"inside torch\.inference_mode"):
        f.value_and_grad(f.theta)


def test_a_generator_read_to_its_end_is_named():
    problem = bowl()
    f = Objective(problem.model, iter([(problem.data.inputs, None)]), loss=half_square)
    assert f.value(f.theta) == pytest.approx(problem.value(f.theta), rel=1e-14)
    with pytest.raises(UsageError, match="a generator can be read only once"):
        f.value_and_grad(f.theta)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_infinity_are_kept(bad):
    problem = bowl()
    f = Objective(problem.model, problem.data, loss=half_square)
    theta = torch.full((3,), bad, dtype=F64)
    assert f.value(theta) == pytest.approx(bad, nan_ok=True)
    assert f.value_and_grad(theta)[0] == pytest.approx(bad, nan_ok=True)


def test_a_loss_that_is_nan_has_no_accuracy():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data, batch_size=5)
    assert f.measure(f.theta).accuracy is not None
    found = f.measure(torch.full_like(f.theta, math.nan))
    assert (found.accuracy, found.non_finite) == (None, 0)


def test_the_batch_size_of_an_iterable_is_not_claimed():
    problem = bowl()
    batches = [(problem.data.inputs[:2], None), (problem.data.inputs[2:], None)]
    f = Objective(problem.model, batches, loss=half_square)
    assert f.batch_size is None
    assert l2_sharpness(f, rho=0.1).batch_size is None


def test_a_subset_of_the_parameters():
    problem = softmax_regression()
    whole = Objective(problem.model, problem.data)
    bias = Objective(problem.model, problem.data, parameters=["bias"])
    assert bias.value(bias.theta) == whole.value(whole.theta)
    gradient = bias.value_and_grad(bias.theta)[1]
    assert torch.equal(gradient, whole.value_and_grad(whole.theta)[1][-3:])


def test_tied_weights_move_together():
    model = nn.Sequential(nn.Linear(2, 2, bias=False, dtype=F64), nn.Linear(2, 2, bias=False, dtype=F64))
    model[1].weight = model[0].weight
    f = Objective(model, examples(5, 2, classes=2), loss=half_square)
    x, w = f.data.inputs, random(2, 2, seed=6)
    value, gradient = f.value_and_grad(w.flatten())
    assert value == pytest.approx((x @ w.T @ w.T).pow(2).sum(1).mean().item() / 2, rel=1e-12)
    z = x @ w.T
    by_hand = (z @ w.T).T @ z / 5 + ((z @ w.T) @ w).T @ x / 5  # through the second layer, and the first
    np.testing.assert_allclose(gradient, by_hand.flatten(), rtol=1e-12)


def test_an_unused_parameter_has_gradient_zero():
    problem = bowl()
    problem.model.unused = nn.Parameter(torch.ones(2, dtype=F64))
    f = Objective(problem.model, problem.data, loss=half_square)
    _, gradient = f.value_and_grad(f.theta)
    assert gradient[3:].tolist() == [0, 0]
    assert not gradient.requires_grad


def test_bfloat16_is_near_and_not_the_same():
    f, rounded = (
        Objective(shallow(dtype=torch.float32), examples(17, 2, 8, 8, dtype=torch.float32), precision=precision)
        for precision in ("float32", "bfloat16")
    )
    exact, near = f.value(f.theta), rounded.value(rounded.theta)
    assert near != exact
    assert near == pytest.approx(exact, rel=0.05)


def test_batch_statistics_make_the_batch_size_part_of_f():
    data = examples(17, 2, 8, 8)
    by_five, whole = (Objective(shallow(), data, batch_norm="batch", batch_size=size) for size in (5, None))
    assert whole.batch_size == 17
    assert by_five.value(by_five.theta) != whole.value(whole.theta)


class Restless(nn.Module):
    """Draws noise, counts its calls in a buffer, and fails when told to."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("calls", torch.zeros(()))
        self.fails = False

    def forward(self, x):
        self.calls += 1
        noisy = self.norm(self.layer(x)) + torch.randn(3)
        if self.fails:
            raise ArithmeticError
        return noisy


@pytest.mark.parametrize("call", ["measure", "value_and_grad"])
@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize("fails", [False, True])
def test_weights_buffers_modes_and_random_state_come_back(call, batch_norm, fails):
    model = Restless()
    model.norm.eval()
    model.fails = fails
    before, random_state = {k: t.clone() for k, t in model.state_dict().items()}, torch.get_rng_state()
    f = Objective(model, examples(10, 4, dtype=torch.float32), batch_norm=batch_norm, batch_size=4)
    try:
        getattr(f, call)(f.theta + 1)
    except ArithmeticError:
        assert fails
    assert same_bits(before, model.state_dict())
    assert [m.training for m in model.modules()] == [True, True, False]
    assert model.norm.track_running_stats
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_the_callers_theta_is_not_changed():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data)
    theta = random(f.layout.size)
    kept = theta.clone()
    f.value_and_grad(theta)
    assert torch.equal(theta, kept)
    assert not theta.requires_grad


def test_running_statistics_are_used_as_stored():
    model = nn.Sequential(nn.BatchNorm1d(4, dtype=F64), nn.Linear(4, 3, dtype=F64))
    model[0].running_mean.fill_(2)
    data = examples(9, 4)
    f = Objective(model, data, batch_size=4)
    with evaluating(model, "running"):
        expected = classification(model, (data.inputs, data.targets)).losses.mean().item()
    assert f.value(f.theta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"batch_norm": "frozen"}, "unknown BatchNorm policy 'frozen'"),
        ({"batch_norm": "recalibrated"}, "choose one of running, batch, recalibrate$"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"parameters": ["scale"]}, "no such parameters: scale"),
        ({"data": Examples(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))}, "data set is empty"),
    ],
)
def test_bad_arguments(bad, says):
    data = bad.pop("data", examples(5, 4))
    with pytest.raises(UsageError, match=says):
        Objective(nn.Linear(4, 3), data, **bad)


Fields = namedtuple("Fields", "x weight")


@dataclass(frozen=True)
class Record:
    x: torch.Tensor
    name: str = "any"


class Encoding(UserDict):
    """A batch that moves itself, like a tokenizer's."""

    def to(self, device):
        return Encoding({key: value.to(device) for key, value in self.items()})


@pytest.mark.parametrize(
    ("wrap", "read"),
    [
        (lambda x: {"x": x, "meta": {"ids": [1, 2]}}, lambda b: b["x"]),
        (lambda x: [x, None], lambda b: b[0]),
        (lambda x: Fields(x, 1.0), lambda b: b.x),
        (Record, lambda b: b.x),
        (lambda x: Encoding(x=x), lambda b: b["x"]),
        (lambda x: UserDict(x=x), lambda b: b["x"]),
    ],
)
def test_batches_of_any_type(wrap, read):
    problem = bowl(count=7)
    data = [wrap(x) for x in problem.data.inputs.split([4, 1, 2])]
    f = Objective(problem.model, data, loss=lambda model, batch: half_square(model, (read(batch),)))
    theta = random(3, seed=9)
    value, gradient = f.value_and_grad(theta)
    assert value == pytest.approx(problem.value(theta), rel=1e-14)
    np.testing.assert_allclose(gradient, problem.gradient(theta), rtol=1e-13)


def test_a_shuffling_loader_is_read_in_one_order_and_left_as_it_was():
    problem = bowl(count=9)
    for generator in (None, torch.Generator().manual_seed(3)):
        loader = torch.utils.data.DataLoader(problem.data.inputs, batch_size=2, shuffle=True, generator=generator)
        f = Objective(problem.model, loader, loss=lambda model, x: half_square(model, (x,)))
        states = torch.get_rng_state(), None if generator is None else generator.get_state()
        once, again = ([batch.tolist() for batch in read] for read in (f.batches(), f.batches()))
        if generator is not None:
            assert once == again
            assert torch.equal(states[1], generator.get_state())
        torch.set_rng_state(states[0])
        assert f.value(f.theta) == f.value(f.theta)
        assert torch.equal(states[0], torch.get_rng_state())


def test_the_callers_random_state_is_not_moved_between_two_batches():
    problem = bowl(count=6)
    f = Objective(problem.model, problem.data, loss=half_square, batch_size=2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = torch.cat([torch.rand(1) for _ in f.gradients(f.theta)])
    assert torch.equal(drawn, expected)
    assert torch.is_grad_enabled()


def test_the_gradients_of_the_batches_add_up():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data, batch_size=5)
    parts = list(f.gradients(f.theta))
    assert [found.examples for found, _ in parts] == [5, 5, 5, 5, 3]
    np.testing.assert_allclose(sum(g for _, g in parts) / 23, problem.gradient(f.theta), rtol=1e-11, atol=1e-13)


def normed(dtype: torch.dtype = F64) -> nn.Sequential:
    """A network with running statistics that fit nothing."""
    layers = [nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 3)]
    return nn.Sequential(*layers).to(dtype)


def test_recalibrate_estimates_the_statistics_as_update_bn_does():
    model, train, test = normed(), examples(30, 4), examples(11, 4, seed=5)
    f = Objective(model, test, batch_norm="recalibrate", calibration=train, batch_size=10)
    theta = random(f.layout.size, seed=2)
    reference = copy.deepcopy(model)
    nn.utils.vector_to_parameters(theta, reference.parameters())
    torch.optim.swa_utils.update_bn(train.inputs.split(10), reference)
    expected = F.cross_entropy(reference.eval()(test.inputs), test.targets).item()
    before = {k: t.clone() for k, t in model.state_dict().items()}
    assert f.value(theta) == pytest.approx(expected, rel=1e-12)
    held = f.recalibrated(theta)
    assert held.batch_norm == "recalibrated"
    assert held.value_and_grad(theta)[0] == pytest.approx(expected, rel=1e-12)
    assert held.value(theta + 1) != pytest.approx(f.value(theta + 1), rel=1e-3)  # held, not estimated again
    assert same_bits(before, model.state_dict())
    assert [m.momentum for m in model if isinstance(m, nn.BatchNorm1d)] == [0.1, None]


def test_recalibrate_has_no_gradient_and_says_what_to_do():
    f = Objective(normed(), examples(9, 4), batch_norm="recalibrate")
    with pytest.raises(UsageError, match=r"objective.recalibrated\(theta\)"):
        f.value_and_grad(f.theta)


def test_buffers_of_another_checkpoint():
    model, other, data = normed(), normed(), examples(9, 4)
    other.load_state_dict(model.state_dict())
    other[1].running_mean.fill_(1.5)
    mine, theirs = Objective(model, data), Objective(other, data)
    lent = mine.with_buffers(dict(other.named_buffers()))
    assert lent.value(lent.theta) == theirs.value(theirs.theta) != mine.value(mine.theta)
    with pytest.raises(UsageError, match=r"no such buffers: 1\.scale"):
        mine.with_buffers({"1.scale": torch.ones(1)})


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_a_model_stored_in_16_bits_is_measured_in_float32(narrow):
    model = normed(narrow)
    data = examples(9, 4, dtype=narrow)
    wide = copy.deepcopy(model).float()
    f = Objective(model, data)
    reference = Objective(wide, Examples(data.inputs.float(), data.targets))
    assert f.theta.dtype == torch.float32
    theta = f.theta * (1 + 1e-4)  # would be lost in 16 bits
    assert f.value(theta) == reference.value(theta) != f.value(f.theta)
    assert torch.equal(f.value_and_grad(theta)[1], reference.value_and_grad(theta)[1])
    assert next(model.parameters()).dtype == narrow


def test_a_model_of_two_dtypes():
    model = nn.Sequential(nn.Linear(4, 5), Cast(F64), nn.Linear(5, 3, dtype=F64))
    f = Objective(model, examples(9, 4, dtype=torch.float32))
    value, gradient = f.value_and_grad(f.theta)
    assert gradient.dtype == F64
    assert value == pytest.approx(classification(model, (f.data.inputs, f.data.targets)).losses.mean().item(), rel=1e-6)


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


def test_frozen_weights_stay_and_only_the_others_are_theta():
    problem = softmax_regression()
    problem.model.weight.requires_grad_(False)
    f = Objective(problem.model, problem.data)
    assert f.layout.names == ("bias",)
    assert f.value_and_grad(f.theta)[1].shape == (3,)
    assert not problem.model.weight.requires_grad


def test_wrapped_models_are_measured_as_what_they_wrap():
    problem = softmax_regression()
    theta = random(problem.model.weight.numel() + 3, seed=1)
    for wrapped in (nn.DataParallel(problem.model), torch.compile(problem.model, backend="eager")):
        assert Objective(wrapped, problem.data).value(theta) == pytest.approx(problem.value(theta), rel=1e-12)


def test_a_model_on_several_devices_or_none_is_refused():
    halves = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3, device="meta"))
    with pytest.raises(UsageError, match="spread over cpu, meta"):
        Objective(halves, examples(5, 4))
    with pytest.raises(UsageError, match="meta device"):
        Objective(nn.Linear(4, 3, device="meta"), examples(5, 4))


def test_a_device_that_is_not_here_is_refused():
    with pytest.raises(UsageError, match="device 'cuda:99' cannot be used here"):
        Objective(nn.Linear(4, 3), examples(5, 4), device="cuda:99")


def test_a_loss_that_calls_another_model_is_named():
    problem = softmax_regression()
    other = copy.deepcopy(problem.model).requires_grad_(False)
    f = Objective(problem.model, problem.data, loss=lambda model, batch: classification(other, batch))
    with pytest.raises(UsageError, match="call the model that it is given"):
        f.value_and_grad(f.theta)


def flattening() -> nn.Sequential:
    """A network that counts on the layout of its activations, as many do: `view` fails on channels-last ones."""
    return nn.Sequential(nn.Conv2d(2, 4, 3, dtype=F64), View(), nn.Linear(4 * 36, 3, dtype=F64))


class View(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.view(len(x), -1)


def test_anothers_convolutions_get_inputs_in_their_own_layout():
    f = Objective(flattening(), examples(5, 2, 8, 8))
    assert f.value_and_grad(f.theta)[0] == pytest.approx(plain_loss(f.model, f.data, f.theta, batch_size=5), rel=1e-12)


def test_a_measurement_says_in_which_batch_the_loss_broke():
    problem = bowl(count=7)
    problem.data.inputs[5] = math.inf
    f = Objective(problem.model, problem.data, loss=half_square, batch_size=2)
    found = f.measure(f.theta)
    assert (found.loss, found.non_finite) == (math.inf, 2)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.coder = nn.Linear(4, 2, dtype=F64)
        self.scale = 3.0

    def encode(self, x):
        return self.coder(x)


def test_a_loss_may_use_the_models_attributes_and_methods():
    model, data = Autoencoder(), examples(7, 4)
    f = Objective(model, data, loss=lambda m, b: (m.encode(b[0]) * m.scale - m.coder.bias).pow(2).sum(1), batch_size=3)
    theta = random(f.layout.size, seed=1)
    w, b = theta[:8].view(2, 4).numpy(), theta[8:].numpy()
    by_hand = ((3 * (data.inputs.numpy() @ w.T + b) - b) ** 2).sum(1).mean()
    value, gradient = f.value_and_grad(theta)
    assert value == pytest.approx(by_hand, rel=1e-12)
    assert gradient.abs().min() > 0


class Twice(nn.Module):
    """z = W2 tanh(W1 x + b1) + b2, W2 perhaps W1 itself, W1 perhaps frozen."""

    def __init__(self, *, tied: bool, frozen: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.first, self.second = (scrambled(nn.Linear(4, 4), dtype) for _ in range(2))
        self.second.bias.data = random(4, seed=7, dtype=dtype)
        self.first.weight.requires_grad_(not frozen)
        if tied:
            self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))

    def by_hand(self, x: np.ndarray, targets: np.ndarray, theta: np.ndarray, names: tuple[str, ...]) -> float:
        """The mean cross-entropy in numpy, with the trainable tensors taken from theta."""
        held = {name: p.detach().double().numpy() for name, p in self.named_parameters(remove_duplicate=False)}
        for name in names:
            size = held[name].size
            held[name], theta = theta[:size].reshape(held[name].shape), theta[size:]
        if self.second.weight is self.first.weight:
            held["second.weight"] = held["first.weight"]
        z = np.tanh(x @ held["first.weight"].T + held["first.bias"]) @ held["second.weight"].T + held["second.bias"]
        return float((np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), targets]).mean())


@settings(max_examples=25, deadline=None)
@given(
    splits=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    tied=st.booleans(),
    frozen=st.booleans(),
    dtype=st.sampled_from([torch.float32, F64]),
)
def test_however_cut_frozen_or_tied_f_is_the_same_mean_and_its_gradient_its_slope(splits, tied, frozen, dtype):
    data = examples(sum(splits), 4, classes=4, dtype=dtype)
    model = Twice(tied=tied, frozen=frozen, dtype=dtype)
    batches = list(zip(data.inputs.split(splits), data.targets.split(splits), strict=True))
    f = Objective(model, batches)
    rounding = 1e-12 if dtype == F64 else 2e-5
    x, y, theta = data.inputs.double().numpy(), data.targets.numpy(), f.theta.double().numpy()

    def exact(at: np.ndarray) -> float:
        return model.by_hand(x, y, at, f.layout.names)

    value, gradient = f.value_and_grad(f.theta)
    assert value == pytest.approx(exact(theta), rel=rounding)
    assert f.value(f.theta) == pytest.approx(value, rel=rounding)
    steps = 1e-5 * np.eye(len(theta))
    slopes = [(exact(theta + step) - exact(theta - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient.double(), slopes, rtol=1e-6, atol=max(1e-8, rounding))


class Again(nn.Module):
    """A network that computes its first half again in the backward pass."""

    def __init__(self, again):
        super().__init__()
        self.first, self.last = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh()), nn.Linear(5, 3)
        self.again = again

    def forward(self, x):
        return self.last(checkpoint(self.first, x, use_reentrant=False) if self.again else self.first(x))


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
def test_activations_computed_again_in_the_backward_pass_are_those_of_theta(batch_norm):
    plain, again = (scrambled(Again(flag), torch.float64) for flag in (False, True))
    f, g = (Objective(model, examples(10, 4), batch_norm=batch_norm, batch_size=4) for model in (plain, again))
    before = copy.deepcopy(again.state_dict())
    theta = f.theta + random(f.layout.size, seed=5)
    assert f.value_and_grad(theta)[0] == g.value_and_grad(theta)[0]
    torch.testing.assert_close(f.value_and_grad(theta)[1], g.value_and_grad(theta)[1], rtol=1e-12, atol=1e-14)
    assert same_bits(before, again.state_dict())


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_transformer_has_one_value_with_a_gradient_and_without():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).double()
    padding = torch.arange(5) > torch.tensor([[1], [2], [4]])
    batches = [(random(3, 5, 8), padding)]
    f = Objective(encoder, batches, loss=lambda model, b: model(b[0], src_key_padding_mask=b[1]).square().mean((1, 2)))
    assert f.value(f.theta) == pytest.approx(f.value_and_grad(f.theta)[0], rel=1e-12)
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_callers_autocast_is_not_f_s():
    f = Objective(softmax_regression(dtype=torch.float32).model, examples(23, 4, dtype=torch.float32))
    value, gradient = f.value_and_grad(f.theta)
    with torch.autocast("cpu", torch.bfloat16):
        again, slope = f.value_and_grad(f.theta)
    assert again == value
    assert torch.equal(slope, gradient)


def test_a_loss_may_write_to_its_batch():
    model, batches = nn.Linear(4, 3).double(), [(random(5, 4), torch.arange(5) % 3)]
    f = Objective(model, batches, loss=lambda model, b: F.cross_entropy(model(b[0].mul_(2)), b[1], reduction="none"))
    assert f.value(f.theta) == f.value(f.theta)
    assert torch.equal(batches[0][0], random(5, 4))


def test_complex_weights_are_refused():
    with pytest.raises(UsageError, match="weight, bias: complex weights"):
        Objective(nn.Linear(4, 3, dtype=torch.complex64), examples(5, 4))


def test_an_embedding_that_rewrites_its_weights_is_refused():
    embedding = nn.Embedding(5, 3, max_norm=1.0)
    with pytest.raises(UsageError, match="embedding '0' has max_norm=1 and rewrites its weights"):
        Objective(nn.Sequential(embedding), [])
    embedding.max_norm = None
    assert Objective(nn.Sequential(embedding), []).layout.size == 15


class Locked:
    """A batch of somebody's own that cannot be copied."""

    def __init__(self, x, y):
        self.x, self.y, self.lock = x, y, threading.Lock()

    def to(self, device):
        return Locked(self.x.to(device), self.y.to(device))


def test_a_batch_that_cannot_be_copied_is_taken_as_it_is():
    batch = Locked(random(5, 4), torch.arange(5) % 3)
    model = nn.Linear(4, 3).double()
    f = Objective(model, [batch], loss=lambda model, b: F.cross_entropy(model(b.x), b.y, reduction="none"))
    assert f.value(f.theta) == pytest.approx(F.cross_entropy(model(batch.x), batch.y).item(), rel=1e-14)


def test_a_loss_may_look_at_the_layers_of_a_network_that_goes_in_blocks():
    model = shallow()

    def decayed(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1], reduction="none") + model[0].weight.square().sum()

    data = examples(6, 2, 8, 8)
    plain, f = Objective(model, data), Objective(model, data, loss=decayed)
    theta = f.theta + 0.1
    first = f.layout.unflatten(theta)["0.weight"]
    assert f.value(theta) == pytest.approx(plain.value(theta) + first.square().sum().item(), rel=1e-12)
