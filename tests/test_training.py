"""Training against Adam written in numpy, and the promises about bits, seeds and failures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import F64, deep, examples, same_bits, softmax_regression, toy
from sharpmin.data import Examples, synthetic
from sharpmin.errors import DivergedError, UsageError
from sharpmin.history import State
from sharpmin.objective import Objective
from sharpmin.train_config import TrainConfig
from sharpmin.training import train
from sharpmin.zoo import build


def network():
    return build("F1", seed=0, shape=(6,), classes=3)


def order(seed, epoch, count):
    """The shuffle as documented: torch.randperm seeded by the first word drawn from (seed, epoch)."""
    word = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64)[0]
    return torch.randperm(count, generator=torch.Generator().manual_seed(int(word))).numpy()


def adam_by_hand(problem, theta, config):
    """Kingma and Ba 2015, algorithm 1, on the closed-form gradient of each batch."""
    m, v, step = np.zeros_like(theta), np.zeros_like(theta), 0
    for epoch in range(1, config.epochs + 1):
        for start in range(0, len(problem.data), config.batch_size):
            picked = order(config.seed, epoch, len(problem.data))[start : start + config.batch_size]
            g, step = gradient(problem, theta, picked), step + 1
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            unbiased = m / (1 - 0.9**step), v / (1 - 0.999**step)
            theta = theta - config.learning_rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return theta


def gradient(problem, theta, picked):
    x, onehot = problem.data.inputs.numpy()[picked], np.eye(3)[problem.data.targets.numpy()[picked]]
    z = np.exp(x @ theta[:12].reshape(3, 4).T + theta[12:])
    wrong = z / z.sum(1, keepdims=True) - onehot
    return np.concatenate([(wrong.T @ x).ravel(), wrong.sum(0)]) / len(picked)


@pytest.mark.parametrize("batch_size", [23, 10, 1], ids=["full batch", "ragged", "one by one"])
def test_adam_equals_adam_by_hand(batch_size):
    problem = softmax_regression()
    config = TrainConfig(batch_size=batch_size, epochs=3, learning_rate=0.05, seed=7)
    start = nn.utils.parameters_to_vector(problem.model.parameters()).detach().numpy()
    state = train(problem.model, problem.data, config)
    found = np.concatenate([state.weights[name].numpy().ravel() for name in ("weight", "bias")])
    np.testing.assert_allclose(found, adam_by_hand(problem, start, config), rtol=1e-9)


TORCHS = {
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.05, eps=1e-8),
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.05),
    "sgd with momentum": lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9),
    "adagrad": lambda weights: torch.optim.Adagrad(weights, lr=0.05, eps=1e-8),
}


@pytest.mark.parametrize("rule", TORCHS)
def test_the_iterates_are_those_of_a_plain_loop_with_torchs_own_optimizer(rule):
    config = TrainConfig(
        batch_size=10, epochs=3, learning_rate=0.05, seed=7, optimizer=rule.split()[0], momentum=0.9 * (" " in rule)
    )
    problem, plain = softmax_regression(), softmax_regression()
    found, expected = [], []
    train(problem.model, problem.data, config, after_step=lambda step: found.append(weights(problem.model)))
    optimizer = TORCHS[rule](plain.model.parameters())
    for epoch in (1, 2, 3):
        for picked in np.split(order(7, epoch, 23), [10, 20]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain.model(plain.data.inputs[picked]), plain.data.targets[picked]).backward()
            optimizer.step()
            expected.append(weights(plain.model))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().numpy().copy()


def test_steps_are_counted_from_the_start_of_the_training_also_when_it_goes_on():
    counted, config = [], TrainConfig(batch_size=16, epochs=2)
    half = train(network(), toy().train, replace(config, epochs=1), after_step=counted.append)
    train(network(), toy().train, config, state=half, after_step=counted.append)
    assert counted == list(range(1, 9))


def test_the_learning_rate_is_by_default_the_rules_own():
    rates = [TrainConfig(optimizer=rule).settings()["learning_rate"] for rule in ("adam", "sgd", "adagrad")]
    assert rates == [0.001, 0.01, 0.01]
    assert TrainConfig(optimizer="sgd") == TrainConfig(optimizer="sgd", learning_rate=0.01)
    with pytest.raises(UsageError, match=r"optimizer torch\.optim:NAdam: give its learning rate too"):
        TrainConfig(optimizer="torch.optim:NAdam")


def test_a_run_is_named_as_before_there_was_a_choice_of_optimizers():
    assert set(TrainConfig().settings()) == {
        *("batch_size", "epochs", "learning_rate", "seed", "precision", "until_converged", "patience")
    }
    chosen = TrainConfig(optimizer="sgd", momentum=0.5).settings()
    assert (chosen["optimizer"], chosen["momentum"]) == ("sgd", 0.5)
    assert TrainConfig(optimizer="sgd").settings() != TrainConfig().settings()


def test_the_history_holds_the_loss_as_trained_and_the_test_after_each_epoch():
    problem = softmax_regression()
    f = Objective(problem.model, problem.data)
    before = f.measure(f.theta)
    (line,) = train(problem.model, problem.data, TrainConfig(batch_size=23, epochs=1), test=problem.data).history
    after = f.measure(f.theta)
    assert line.train_loss == pytest.approx(before.loss, rel=1e-6)
    assert line.train_accuracy == before.accuracy
    assert (line.test_loss, line.test_accuracy) == (after.loss, after.accuracy)
    assert line.seconds > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(precision):
    config = TrainConfig(batch_size=16, epochs=2, precision=precision)
    first = train(network(), toy().train, config)
    torch.manual_seed(99)
    assert same_bits(first.weights, train(network(), toy().train, config).weights)
    assert not same_bits(first.weights, train(network(), toy().train, replace(config, seed=1)).weights)


def with_dropout():
    return deep(dtype=torch.float32), examples(30, 2, 7, 7, dtype=torch.float32)


RULES = {"adam": {}, "sgd": {}, "sgd with momentum": {"momentum": 0.9}, "adagrad": {}}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("stop", [1, 3])
def test_resuming_after_any_epoch_gives_the_bits_of_one_run(stop, rule):
    config = TrainConfig(batch_size=8, epochs=4, learning_rate=0.01, optimizer=rule.split()[0], **RULES[rule])
    model, data = with_dropout()
    whole = train(model, data, config)
    half = train(with_dropout()[0], data, replace(config, epochs=stop))
    torch.manual_seed(99)  # another process would have other random numbers
    resumed = train(with_dropout()[0], data, config, state=half)
    assert same_bits(whole.weights, resumed.weights)
    assert same_bits(whole.moments, resumed.moments)
    assert [line.train_loss for line in whole.history] == [line.train_loss for line in resumed.history]


def test_a_frozen_parameter_stays_and_does_not_hinder_resuming():
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    state = train(model, toy().train, TrainConfig(batch_size=16, epochs=1))
    train(model, toy().train, TrainConfig(batch_size=16, epochs=2), state=state)
    assert torch.equal(model[0].weight, before)


def with_running_statistics():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).double()


def test_resuming_gives_the_running_statistics_of_one_run():
    data, config = examples(40, 6), TrainConfig(batch_size=8, epochs=4)
    whole = train(with_running_statistics(), data, config)
    half = train(with_running_statistics(), data, replace(config, epochs=2))
    other = with_running_statistics()
    resumed = train(other, data, config, state=half)
    assert same_bits(whole.weights, resumed.weights)
    assert same_bits(whole.weights, other.state_dict())


class Buffers(nn.Module):
    """What a model may hold beside its weights, and a count of its calls."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.register_buffer("sparse", torch.eye(3).to_sparse())
        self.register_buffer("expanded", torch.ones(1).expand(5))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += self.training
        return self.linear(x)


def test_buffers_of_every_kind_and_those_of_the_state_fit_the_model():
    data, config = examples(40, 6, dtype=torch.float32), TrainConfig(batch_size=8, epochs=4)
    half = train(Buffers(), data, replace(config, epochs=2))
    model = Buffers()
    state = train(model, data, config, state=half)
    assert (model.calls.item(), set(state.weights)) == (
        20,
        {"linear.weight", "linear.bias", "expanded", "passing", "calls"},
    )


def test_the_test_is_of_the_network_as_it_will_be_used():
    model, data, test = with_running_statistics(), examples(40, 6), examples(30, 6, seed=5)
    (line,) = train(model, data, TrainConfig(batch_size=8, epochs=1), test=test).history
    expected = F.cross_entropy(model.eval()(test.inputs), test.targets).item()
    assert line.test_loss == pytest.approx(expected, rel=1e-6)


def test_the_callers_random_state_is_left_alone():
    model, data = with_dropout()
    before = torch.get_rng_state()
    train(model, data, TrainConfig(batch_size=8, epochs=1), test=data)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_example_is_used_once_an_epoch_the_ragged_last_batch_included():
    seen = []

    class Recording(nn.Linear):
        def forward(self, x):
            seen.append(x[:, 0].tolist())
            return super().forward(x)

    data = Examples(torch.arange(10.0)[:, None], torch.zeros(10, dtype=torch.int64))
    train(Recording(1, 2), data, TrainConfig(batch_size=4, epochs=2))
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    epochs = [[x for batch in part for x in batch] for part in (seen[:3], seen[3:])]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]


def test_it_learns():
    split = synthetic(train=200, test=100, shape=(60,), classes=3)
    model = build("F1", seed=0, shape=(60,), classes=3)
    last = train(model, split.train, TrainConfig(batch_size=50, epochs=3), test=split.test).history[-1]
    assert last.train_loss < 0.5
    assert last.test_accuracy > 0.8


@pytest.mark.parametrize("batch_size", [50, 16])
def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_last_good_state(batch_size):
    kept = []
    data = toy().train
    config = TrainConfig(batch_size=batch_size, epochs=1)
    good = train(network(), data, config, after_epoch=kept.append)
    spoilt = Examples(data.inputs.clone(), data.targets)
    spoilt.inputs[order(0, 2, 50)[-1]] = torch.nan  # in the last batch of epoch 2
    step = -(-50 // batch_size)
    with pytest.raises(DivergedError, match=f"nan at epoch 2, step {step} .*the state after epoch 1 is kept"):
        train(network(), spoilt, replace(config, epochs=3), state=good, after_epoch=kept.append)
    assert kept == [good]


def test_weights_that_are_not_finite_are_no_good_state():
    kept = []
    config = TrainConfig(batch_size=50, epochs=2, learning_rate=1e39)
    with pytest.raises(DivergedError, match="a weight became infinite or NaN at epoch 1, step 1"):
        train(nn.Linear(6, 3), toy().train, config, after_epoch=kept.append)
    assert kept == []


def test_until_converged_stops_by_that_rule_and_by_no_other():
    split = toy()
    config = TrainConfig(batch_size=50, epochs=40, learning_rate=1e-12, until_converged=True)
    assert train(nn.Linear(6, 3), split.train, config).epochs == 11
    assert train(nn.Linear(6, 3), split.train, replace(config, patience=3)).epochs == 4
    assert train(nn.Linear(6, 3), split.train, replace(config, epochs=4)).epochs == 4


def test_progress_ends_with_all_examples():
    told = []
    config = TrainConfig(batch_size=16, epochs=2)
    train(
        network(),
        toy().train,
        config,
        progress=lambda task, done, total, **_: told.append((task, done, total)),
        label="x",
    )
    assert told[-1] == ("x", 100, 100)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"batch_size": 51}, "batch size 51 does not fit a training set of 50 examples: choose one from 1 to 50"),
        ({"batch_size": 0}, "choose one from 1 to 50"),
        ({"epochs": 0}, "at least 1"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": float("nan")}, "above 0"),
        ({"learning_rate": float("inf")}, "above 0, and finite"),
        ({"seed": -1}, "seed -1"),
        ({"precision": "float16"}, "choose one of float32, tf32, bfloat16"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion': choose one of adam, sgd, adagrad"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum 1.0: choose one from 0 to below 1"),
        ({"momentum": 0.9}, "momentum 0.9 is of sgd: adam has none to choose"),
    ],
)
def test_settings_nobody_can_train_with(bad, says):
    model = network()
    before = State({name: p.detach().clone() for name, p in model.named_parameters()})
    with pytest.raises(UsageError, match=says):
        train(model, toy().train, replace(TrainConfig(batch_size=16, epochs=1), **bad))
    assert same_bits(before.weights, dict(model.named_parameters()))


def test_it_trains_where_the_model_is_or_on_a_device_by_name():
    config = TrainConfig(batch_size=16, epochs=1)
    with pytest.raises(UsageError, match="the model is on the meta device"):
        train(network().to("meta"), toy().train, config)
    with pytest.raises(UsageError, match="device 'abacus' cannot be used here"):
        train(network(), toy().train, config, device="abacus")
    model = network()
    train(model, toy().train, config, device="auto")
    assert next(model.parameters()).is_cuda == torch.cuda.is_available()


def test_double_precision_models_stay_double():
    problem = softmax_regression()
    assert train(problem.model, problem.data, TrainConfig(batch_size=23, epochs=1)).weights["weight"].dtype == F64
