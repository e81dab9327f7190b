"""The gradient noise scale of losses whose per-example gradients are known in numpy."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cases import F64, examples, random, same_bits, softmax_regression
from measures.formulas import Weights
from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.measures.noise_scale import noise_scale
from sharpmin.objective import Objective


def pair(x: Tensor) -> Examples:
    return Examples(x, torch.zeros(len(x), dtype=torch.int64))


def linear(x: Tensor, data=None) -> Objective:
    """f = mean(x . theta): the gradient of an example is its x."""
    return Objective(
        Weights(random(x.shape[1], seed=9)),
        pair(x) if data is None else data,
        loss=lambda model, batch: batch[0] @ model(),
    )


def moments(gradients):
    """|mean|^2 and the trace of the covariance, with the divisor N - 1."""
    g = np.asarray(gradients)
    return float((g.mean(0) ** 2).sum()), float(g.var(0, ddof=1).sum())


def check_exact(result, gradients):
    """A full pass over single examples knows |G|^2 and tr(Sigma) of the data."""
    norm_squared, trace = moments(gradients)
    assert result.gradient_norm_squared == pytest.approx(norm_squared, rel=1e-10)
    assert result.covariance_trace == pytest.approx(trace, rel=1e-10)
    assert result.value == pytest.approx(trace / norm_squared, rel=1e-10)
    assert result.standard_error == pytest.approx(0, abs=1e-9 * result.value)
    assert result.lower_bound == pytest.approx(result.value, rel=1e-9)
    assert result.status == "measured"


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"estimator": "examples"}, {"seed": 5}])
def test_gaussian_gradients(options):
    x = random(40, 3, seed=1) + 0.5
    check_exact(noise_scale(linear(x), **options), x.numpy())


def test_linear_regression():
    """Of (w . x - y)^2 / 2 an example has the gradient (w . x - y) x."""
    x, y, w = random(30, 4, seed=1), random(30, seed=2), random(4, seed=3)
    f = Objective(
        nn.Linear(4, 1, bias=False, dtype=F64),
        Examples(torch.cat([x, y[:, None]], 1), torch.zeros(30, dtype=torch.int64)),
        loss=lambda model, batch: (model(batch[0][:, :4]).squeeze(1) - batch[0][:, 4]).square() / 2,
    )
    check_exact(noise_scale(f, theta=w), ((x @ w - y)[:, None] * x).numpy())


def test_softmax_regression():
    problem = softmax_regression()
    x = problem.data.inputs.numpy()
    f = Objective(problem.model, problem.data)
    w = f.theta.numpy()
    p = np.exp(x @ w[:12].reshape(3, 4).T + w[12:])
    wrong = p / p.sum(1, keepdims=True) - np.eye(3)[problem.data.targets.numpy()]
    by_hand = np.concatenate([(wrong[:, :, None] * x[:, None]).reshape(23, 12), wrong], 1)
    result = noise_scale(f)
    check_exact(result, by_hand)
    assert (result.estimator, result.examples, result.batches, result.batch_size) == ("examples", 23, 23, 1)
    assert result.loss == pytest.approx(f.value(f.theta), rel=1e-12)


def by_hand(batches, population):
    """|G|^2 and tr(Sigma); for a population and one size the first is the mean of g_i . g_j over pairs of batches."""
    b, g = np.array([len(x) for x in batches]), np.stack([x.mean(0) for x in batches])
    n = b.sum()
    trace = (b * ((g - (b[:, None] * g).sum(0) / n) ** 2).sum(1)).sum() / (len(b) - 1)
    if len(set(b)) == 1 and math.isinf(population):
        products = (g @ g.T)[~np.eye(len(b), dtype=bool)]
        return products.mean(), trace
    return (((b[:, None] * g).sum(0) / n) ** 2).sum() - trace * (1 / n - 1 / population), trace


@pytest.mark.parametrize("sizes", [[4] * 6, [4, 4, 4, 4, 1], [7, 1, 2, 9, 3]])
@pytest.mark.parametrize("of", ["data", "population"])
def test_batches_of_an_iterable_of_any_sizes(sizes, of):
    x = random(sum(sizes), 3, seed=2) + 0.7
    parts = x.split(sizes)
    result = noise_scale(linear(x, [(part, None) for part in parts]), of=of)
    norm_squared, trace = by_hand([p.numpy() for p in parts], sum(sizes) if of == "data" else math.inf)
    assert result.gradient_norm_squared == pytest.approx(norm_squared, rel=1e-11)
    assert result.covariance_trace == pytest.approx(trace, rel=1e-11)
    assert (result.estimator, result.batches, result.examples) == ("batches", len(sizes), sum(sizes))
    assert (result.batch_size, result.shuffled) == (max(sizes), False)


@pytest.mark.parametrize("options", [{"estimator": "examples"}, {"batch_size": 4}, {"batch_size": 7, "max_batches": 4}])
def test_unbiased_for_a_population(options):
    """tr(Sigma) and |G|^2 over 100 data sets, to 3 standard errors of their mean."""
    mean, shape = random(4, seed=3) / 2, random(4, 4, seed=4)
    runs = [
        noise_scale(linear(mean + random(30, 4, seed=100 + i) @ shape), of="population", **options) for i in range(100)
    ]
    for values, true in (
        ([r.covariance_trace for r in runs], shape.square().sum().item()),
        ([r.gradient_norm_squared for r in runs], mean.square().sum().item()),
    ):
        assert np.mean(values) == pytest.approx(true, abs=3 * np.std(values) / 10)
    errors = np.array([r.covariance_trace_error for r in runs])
    assert np.sqrt((errors**2).mean()) == pytest.approx(np.std([r.covariance_trace for r in runs]), rel=0.3)


@pytest.mark.parametrize(("of", "population"), [("data", 40), ("population", math.inf)])
def test_a_part_of_the_data(of, population):
    """3 batches of 5 out of 40 examples, drawn without replacement."""
    x = random(40, 3, seed=5) + 0.4
    result = noise_scale(linear(x), of=of, batch_size=5, max_batches=3, seed=2)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    norm_squared, trace = by_hand(x[order[:15]].numpy().reshape(3, 5, 3), population)
    assert result.gradient_norm_squared == pytest.approx(norm_squared, rel=1e-11)
    assert result.covariance_trace == pytest.approx(trace, rel=1e-11)


def test_stored_class_by_class():
    """Batches in the stored order measure the classes; in random order, the examples."""
    x = torch.cat([random(50, 2, seed=1) + 5, random(50, 2, seed=2) - 4])
    _, trace = moments(x.numpy())
    stored = noise_scale(linear(x, [(part, None) for part in x.split(10)]))
    shuffled = noise_scale(linear(x), batch_size=10)
    assert stored.covariance_trace > 5 * trace
    assert abs(shuffled.covariance_trace - trace) < 3 * shuffled.covariance_trace_error
    assert shuffled.shuffled


def test_a_loader_that_shuffles():
    x = torch.cat([random(50, 2, seed=1) + 5, random(50, 2, seed=2) - 4])
    f = linear(x, DataLoader(TensorDataset(x, torch.zeros(100)), batch_size=5, shuffle=True))
    result, part = noise_scale(f), noise_scale(f, of="population", max_batches=8)
    norm_squared, trace = moments(x.numpy())
    assert result.gradient_norm_squared == pytest.approx(norm_squared, rel=1e-12)
    assert abs(result.covariance_trace - trace) < 3 * result.covariance_trace_error
    assert (part.batches, part.examples) == (8, 40)


def test_float32_with_noise_far_below_the_gradient():
    """S is not the difference of |g_j|^2 and |g|^2, which are equal here to seven digits."""
    x = 100 + 1e-2 * random(200, 5, seed=6)
    narrow = Objective(Weights(torch.zeros(5)), pair(x.float()), loss=lambda model, batch: batch[0] @ model())
    for options in ({}, {"batch_size": 10}):
        exact, found = noise_scale(linear(x), **options), noise_scale(narrow, **options)
        assert found.covariance_trace == pytest.approx(exact.covariance_trace, rel=1e-2)
        assert found.gradient_norm_squared == pytest.approx(exact.gradient_norm_squared, rel=1e-6)


def test_bfloat16_is_near():
    data = examples(60, 4, dtype=torch.float32)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    wide, narrow = (noise_scale(Objective(model, data, precision=p)) for p in ("float32", "bfloat16"))
    assert narrow.value != wide.value
    assert narrow.value == pytest.approx(wide.value, rel=0.05)
    assert narrow.precision == "bfloat16"


def batchnorm_regression(w: Tensor, x: Tensor, y: Tensor, **options) -> Objective:
    """Of (w . xhat - y)^2 / 2, with xhat normalised by the batch's mean and variance."""
    norm = nn.BatchNorm1d(3, affine=False, dtype=F64)
    model = nn.Sequential(norm, nn.Linear(3, 1, bias=False, dtype=F64))
    model[1].weight.data = w[None].clone()
    data = Examples(x, y)
    return Objective(model, data, loss=lambda m, b: (m(b[0]).squeeze(1) - b[1]).square() / 2, **options)


def test_batch_statistics():
    """Gradients of batches of 5 by numpy; the ragged last one belongs to another f and is left out."""
    x, y, w = random(43, 3, seed=1), random(43, seed=2), random(3, seed=3)
    f = batchnorm_regression(w, x, y, batch_norm="batch", batch_size=5)
    result = noise_scale(f)
    order = torch.randperm(43, generator=torch.Generator().manual_seed(0))
    batches = []
    for picked in order[:40].numpy().reshape(8, 5):
        part = x.numpy()[picked]
        hat = (part - part.mean(0)) / np.sqrt(part.var(0) + 1e-5)
        batches.append((hat @ w.numpy() - y.numpy()[picked])[:, None] * hat)
    norm_squared, trace = by_hand(batches, 43)
    assert result.gradient_norm_squared == pytest.approx(norm_squared, rel=1e-10)
    assert result.covariance_trace == pytest.approx(trace, rel=1e-10)
    assert (result.batch_norm, result.batch_size, result.batches, result.examples) == ("batch", 5, 8, 40)
    assert "batches of this size" in result.message


def test_running_statistics():
    """xhat = x / sqrt(1 + eps) of fresh running statistics: single examples have gradients."""
    x, y, w = random(43, 3, seed=1), random(43, seed=2), random(3, seed=3)
    result = noise_scale(batchnorm_regression(w, x, y, batch_norm="running"))
    hat = (x / math.sqrt(1 + 1e-5)).numpy()
    check_exact(result, (hat @ w.numpy() - y.numpy())[:, None] * hat)
    assert result.estimator == "examples"
    assert "BatchNorm" not in result.message


def test_pure_noise_is_no_number():
    x = random(100, 20, seed=7)
    x -= x.mean(0)
    result = noise_scale(linear(x), of="population")
    assert result.gradient_norm_squared < 0
    assert (result.status, result.value, result.critical_batch_size) == ("pure_noise", math.inf, math.inf)
    assert math.isnan(result.standard_error)
    assert result.lower_bound > 100
    assert "lower bound" in result.message
    assert (result.relative_steps(100), result.relative_examples(100)) == (math.inf, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("options", [{}, {"batch_size": 5}])
def test_not_finite_is_nan(bad, options):
    f = Objective(nn.Linear(4, 3, dtype=F64), examples(20, 4))
    result = noise_scale(f, theta=torch.full_like(f.theta, bad), **options)
    assert result.status == "non_finite"
    assert all(
        math.isnan(n) for n in (result.value, result.standard_error, result.lower_bound, result.critical_batch_size)
    )


def test_a_finite_gradient_of_an_infinite_loss_is_nan():
    x = random(20, 3)
    f = Objective(Weights(random(3)), pair(x), loss=lambda model, batch: batch[0] @ model() + math.inf)
    assert math.isnan(noise_scale(f).covariance_trace)
    assert noise_scale(f).status == "non_finite"


def test_no_gradient_at_all():
    result = noise_scale(linear(torch.zeros(10, 3, dtype=F64)))
    assert result.status == "no_gradient"
    assert math.isnan(result.value)


def test_equal_examples_need_a_batch_of_one():
    result = noise_scale(linear(torch.ones(10, 3, dtype=F64)))
    assert (result.value, result.critical_batch_size, result.status) == (0, 1, "measured")
    assert (result.relative_steps(1), result.relative_examples(1)) == (1, math.inf)


def test_the_trade_of_steps_for_examples():
    """(S / S_min - 1) (E / E_min - 1) = 1, and both are doubled at the noise scale."""
    result = noise_scale(linear(random(40, 3, seed=1) + 0.5))
    assert result.relative_steps(result.value) == pytest.approx(2)
    assert result.relative_examples(result.value) == pytest.approx(2)
    for size in (1, 10, 1000):
        assert (result.relative_steps(size) - 1) * (result.relative_examples(size) - 1) == pytest.approx(1)
    assert 0 <= result.critical_batch_size - result.value < 1


def test_the_noise_scale_is_where_a_batch_is_as_noisy_as_long():
    """E |g_B - G|^2 = |G|^2 for random batches of B_simple examples, drawn with replacement."""
    x = random(60, 4, seed=8) + 0.6
    result = noise_scale(linear(x))
    size, rng = round(result.value), np.random.default_rng(0)
    noise = x.numpy()[rng.integers(60, size=(20_000, size))].mean(1) - x.numpy().mean(0)
    expected = result.covariance_trace * 59 / 60 / size
    assert (noise**2).sum(1).mean() == pytest.approx(expected, rel=0.05)
    assert expected == pytest.approx(result.gradient_norm_squared, rel=0.25)  # size is rounded


def test_progress_is_told():
    told = []
    noise_scale(linear(random(20, 3)), batch_size=5, progress=lambda *given, **more: told.append((given, more)))
    assert [given for given, _ in told] == [("noise scale", i, None) for i in range(1, 9)]
    assert told[0][1] == {"unit": "batches"}


class Restless(nn.Module):
    """Draws noise, counts its calls in a buffer, and fails when told to."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.layer, self.norm, self.fails = nn.Linear(4, 3), nn.BatchNorm1d(3), fails
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.fails and len(x) < 4:
            raise ArithmeticError
        return self.norm(self.layer(x)) + torch.randn(3)


@pytest.mark.parametrize("options", [{"batch_norm": "batch"}, {"batch_norm": "running"}])
@pytest.mark.parametrize("fails", [False, True])
def test_weights_buffers_modes_and_random_state_come_back(options, fails):
    model = Restless(fails)
    model.norm.eval()
    before, state = {k: t.clone() for k, t in model.state_dict().items()}, torch.get_rng_state()
    data = examples(14, 4, dtype=torch.float32)
    batches = list(zip(data.inputs.split(4), data.targets.split(4), strict=True))
    f = Objective(model, batches, **options)
    try:
        noise_scale(f)
        assert not fails
    except ArithmeticError:
        assert fails
    assert same_bits(before, model.state_dict())
    assert [m.training for m in model.modules()] == [True, True, False]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_the_objective_is_as_it_was():
    f = linear(random(20, 3))
    data, size, theta = f.data, f.batch_size, f.theta
    noise_scale(f, theta=theta, batch_size=4)
    assert f.data is data
    assert f.batch_size == size
    assert torch.equal(theta, f.theta)
    assert not theta.requires_grad


def plain(**options):
    return Objective(nn.Linear(4, 3), options.pop("data", examples(20, 4, dtype=torch.float32)), **options)


def normed(policy):
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))
    return Objective(model, examples(20, 4, dtype=torch.float32), batch_norm=policy)


@pytest.mark.parametrize(("most", "size"), [(None, 2), (10, 2), (6, 6), (2, 2)])
def test_batchnorm_gets_the_batches_of_f_or_eighths_of_the_examples(most, size):
    f = normed("batch")
    f.batch_size = most or f.batch_size
    result = noise_scale(f)
    assert (result.batch_size, result.batches) == (size, 20 // size)
    assert result.message.startswith("what an example adds to f depends on the others of its batch")


def contrastive(model, batch):
    """InfoNCE: each example is to be told from the others of its batch."""
    z = model(batch[0])
    return nn.functional.cross_entropy(z @ (z + 0.1).T, torch.arange(len(z)), reduction="none")


def test_a_loss_that_ties_examples_together_gets_the_batches_of_f():
    f = Objective(nn.Linear(4, 3).double(), examples(120, 4), loss=contrastive, batch_size=30)
    result = noise_scale(f)
    assert (result.batch_size, result.batches, result.estimator) == (30, 4, "batches")
    assert result.message.startswith("what an example adds to f depends on the others of its batch")
    assert noise_scale(f, batch_size=10).batches == 12
    with pytest.raises(UsageError, match=r'ties the examples of a batch together .*: use estimator="batches"'):
        noise_scale(f, estimator="examples")


def noisy(model, batch):
    return nn.functional.cross_entropy(model(batch[0] + torch.randn_like(batch[0])), batch[1], reduction="none")


def test_a_loss_that_draws_random_numbers_keeps_the_batches_of_f():
    f = Objective(nn.Linear(4, 3).double(), examples(120, 4), loss=noisy, batch_size=30)
    result = noise_scale(f)
    assert (result.batch_size, "or on random numbers" in result.message) == (30, True)
    assert noise_scale(f, estimator="examples").batches == 120


def test_where_few_examples_count_none_may_be_among_those_tried():
    data = examples(400, 4)
    data.targets[8:] = -100
    assert noise_scale(Objective(nn.Linear(4, 3).double(), data, batch_size=100), batch_size=50).status


def own_batches(count=5):
    return plain(data=[(torch.ones(2, 4), torch.zeros(2, dtype=torch.int64))] * count)


@pytest.mark.parametrize(
    ("f", "options", "says"),
    [
        (plain, {"estimator": "example"}, "unknown estimator 'example': choose auto, batches or examples"),
        (plain, {"of": "sample"}, "unknown of='sample': choose data or population"),
        (plain, {"batch_size": 0}, "batch_size is 0"),
        (plain, {"max_batches": 2}, "max_batches is 2: it must be at least 3"),
        (plain, {"batch_size": 10}, "2 batches of one kind are too few"),
        (plain, {"estimator": "examples", "batch_size": 5}, 'batch_size is of estimator="batches"'),
        (plain, {"theta": torch.zeros(3)}, "this network has"),
        (
            lambda: normed("batch"),
            {"estimator": "examples"},
            'use estimator="batches", or, where .*batch_norm="running"',
        ),
        (lambda: normed("batch"), {"batch_size": 20}, "1 batches of one kind are too few"),
        (lambda: normed("recalibrate"), {}, "recalibrated"),
        (own_batches, {"batch_size": 5}, "has batches of its own"),
        (own_batches, {"estimator": "examples"}, "single examples are cut from tensors"),
        (own_batches, {"max_batches": 3}, 'ask for of="population"'),
        (lambda: own_batches(2), {}, "2 batches of one kind are too few"),
        (lambda: own_batches(0), {}, "gave no examples"),
    ],
)
def test_refused(f, options, says):
    with pytest.raises(UsageError, match=says):
        noise_scale(f(), **options)


def test_a_generator_is_refused():
    x = random(12, 3)
    f = linear(x, ((part, None) for part in x.split(3)))
    with pytest.raises(UsageError, match=r"two passes over the data gave .* from 12 and 0 examples"):
        noise_scale(f)


def test_data_that_changes_between_the_passes_is_refused():
    rng = np.random.default_rng(0)

    class Augmented:
        def __iter__(self):
            for _ in range(5):
                yield torch.from_numpy(rng.normal(size=(4, 4))).float(), torch.zeros(4, dtype=torch.int64)

    with pytest.raises(UsageError, match="random numbers of its own"):
        noise_scale(plain(data=Augmented()))


@pytest.mark.parametrize("options", [{}, {"batch_size": 5}])
def test_losses_that_cancel_are_not_taken_for_a_change(options):
    """The sum of the losses is 0 but for rounding, which differs from pass to pass."""

    def loss(model, batch):
        rounding = next(errors) * batch[0].abs().sum(1)
        return batch[0] @ model() + rounding

    x, errors = random(40, 3, seed=1), itertools.cycle([1e-9, -2e-9, 3e-9])
    f = Objective(Weights(torch.ones(3, dtype=F64)), pair(x - x.mean(0)), loss=loss)
    assert noise_scale(f, of="population", **options).status == "pure_noise"
