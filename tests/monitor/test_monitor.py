"""Rows beside a training that does not notice: the same bits, no step twice, a share of the time."""

import copy
import json
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import examples, same_bits, softmax_regression
from sharpmin.batchnorm import FLAGS
from sharpmin.errors import RunError, UsageError
from sharpmin.measures import spectrum, trace
from sharpmin.monitor import MEASURES, Monitor, Row, read_rows
from sharpmin.objective import Objective

DATA = examples(24, 4, dtype=torch.float32)


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3))
    model.append(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)))
    model[-1].eval()  # a mixture of modes
    model[-1][1].bias.requires_grad_(False)
    return model


class Training:
    """Adam with dropout, two batches a step, and inputs that all three sources of random numbers change."""

    def __init__(self):
        self.model = network()
        self.adam = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], lr=0.01)
        self.seen = []
        random.seed(1)
        np.random.seed(2)  # noqa: NPY002
        torch.manual_seed(3)

    def run(self, *, steps=4, monitor=lambda step: None):
        for step in range(steps):
            self.adam.zero_grad()
            for _ in range(2):
                picked = torch.randint(len(DATA), (8,))
                noise = random.random() * float(np.random.rand())  # noqa: NPY002
                F.cross_entropy(self.model(DATA.inputs[picked] + noise), DATA.targets[picked]).backward()
                monitor(step)  # in the middle of what is being accumulated
            self.seen.append(self.state())
            self.adam.step()
        return self

    def state(self):
        """All that a step may depend on."""
        tensors = {**self.model.state_dict(), "torch": torch.get_rng_state()}
        tensors |= {f"grad {name}": p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        others = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        flags = [[getattr(m, flag, None) for flag in FLAGS] for m in self.model.modules()]
        modes = torch.is_grad_enabled(), [p.requires_grad for p in self.model.parameters()]
        return copy.deepcopy(tensors), (others, flags, modes)


def same_training(one, other):
    states = zip(one.seen, other.seen, strict=True)
    return all(same_bits(a[0], b[0]) and a[1] == b[1] for a, b in states)


def few(objective):
    return trace(objective, products=6)


class Failing:
    """Cross-entropy that draws random numbers, and raises at one of its calls."""

    def __init__(self, at):
        self.calls, self.at = 0, at

    def __call__(self, model, batch):
        self.calls += 1
        random.random()
        np.random.rand()  # noqa: NPY002
        logits = model(batch[0])
        if self.calls == self.at:
            raise RuntimeError("in the middle\nof it")
        return F.cross_entropy(logits, batch[1], reduction="none")


@pytest.mark.parametrize("batch_norm", ["running", "batch", "recalibrate"])
def test_a_training_with_a_monitor_has_the_bits_of_one_without(batch_norm, tmp_path):
    watched = Training()
    f = Objective(watched.model, DATA, batch_norm=batch_norm, batch_size=8)
    monitor = Monitor(f, file=tmp_path / "rows.jsonl", every=2, share=1, noise_batch=8, also={"trace": few})
    assert same_training(watched.run(monitor=monitor), Training().run())
    rows = read_rows(tmp_path / "rows.jsonl")
    assert [row["step"] for row in rows] == [0, 2]
    assert all(not row["errors"] for row in rows)
    assert set(rows[0]) >= {*MEASURES, "trace"}


@pytest.mark.parametrize("at", [1, 4, 9, 30])
def test_also_where_a_measure_raises_in_the_middle(at):
    watched, loss, rows = Training(), Failing(at), []
    f = Objective(
        watched.model, [(DATA.inputs[:12], DATA.targets[:12]), (DATA.inputs[12:], DATA.targets[12:])], loss=loss
    )
    monitor = Monitor(f, every=1, share=1, measures=["loss", "lambda-max", "metric-2.1"])
    watched.run(monitor=lambda step: rows.append(monitor(step)))
    assert same_training(watched, Training().run())
    rows = [row for row in rows if row]
    failed = [row for row in rows if row.errors]
    assert len(rows) == 4
    assert len(failed) == 1
    assert list(failed[0].errors.values()) == ["RuntimeError: in the middle of it"]
    assert set(failed[0].values) | set(failed[0].errors) == {"loss", "lambda-max", "metric-2.1"}


def test_an_interruption_is_not_held_up_and_leaves_all_as_it_was():
    watched = Training()

    def interrupt(objective):
        torch.rand(3)
        raise KeyboardInterrupt

    monitor, before = Monitor(Objective(watched.model, DATA), also={"mine": interrupt}), watched.state()
    with pytest.raises(KeyboardInterrupt):
        monitor(0)
    after = watched.state()
    assert same_bits(before[0], after[0])
    assert before[1] == after[1]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_the_mode_of_the_caller_changes_nothing(mode):
    f = Objective(network(), DATA)
    plain = Monitor(f)(0)
    with mode():
        found = Monitor(f)(0)
    assert found.values == plain.values
    assert not found.errors


def hessian(problem):
    """Of softmax regression: mean of (diag(p) - p p^T) (x) x~ x~^T, in the order of the weights, then the biases."""
    x, weights = problem.data.inputs.numpy(), [p.detach().numpy() for p in problem.model.parameters()]
    z = np.exp(x @ weights[0].T + weights[1])
    p = z / z.sum(1, keepdims=True)
    curved = np.einsum("nk,kl->nkl", p, np.eye(3)) - np.einsum("nk,nl->nkl", p, p)
    features = np.concatenate([x, np.ones((len(x), 1))], 1)
    return np.einsum("nkl,ni,nj->kilj", curved, features, features).reshape(15, 15) / len(x)


def test_the_rows_along_a_training_against_closed_forms():
    problem = softmax_regression()
    monitor = Monitor(Objective(problem.model, problem.data), every=1, share=1)
    start = nn.utils.parameters_to_vector(problem.model.parameters()).detach().clone()
    sgd = torch.optim.SGD(problem.model.parameters(), lr=0.5)
    for step in range(8):
        row = monitor(step)
        theta = nn.utils.parameters_to_vector(problem.model.parameters()).detach()
        assert row.values["loss"] == pytest.approx(problem.value(theta), rel=1e-12)
        assert row.values["distance"] == pytest.approx(float((theta - start).norm()), rel=1e-12)
        assert row.values["lambda-max"] == pytest.approx(np.linalg.eigvalsh(hessian(problem))[-1], rel=1e-3)
        evidence = row.evidence["lambda-max"]
        assert evidence["converged"]
        assert evidence["residual"] <= 1e-2 * row.values["lambda-max"]
        assert evidence["warm"] == (step > 0)
        sgd.zero_grad()
        F.cross_entropy(problem.model(problem.data.inputs), problem.data.targets).backward()
        sgd.step()


class Bowl(nn.Module):
    """A weight vector whose loss is a sum of a_i w_i^2 / 2."""

    def __init__(self, scales):
        super().__init__()
        self.w = nn.Parameter(torch.ones(len(scales), dtype=torch.float64))
        self.scales = scales


def test_a_warm_start_finds_the_direction_that_overtook_the_last_one():
    scales = torch.linspace(0.1, 1, 200, dtype=torch.float64)
    scales[3], scales[90] = 5, 2
    model = Bowl(scales)
    f = Objective(model, [None], loss=lambda m, _: (m.scales * m.w**2).sum()[None] / 2)
    monitor = Monitor(f, every=1, share=1, measures=["lambda-max"])
    first = monitor(0)
    scales[3], scales[90] = 2, 5  # to a direction at right angles
    second = monitor(1)
    assert [first.values["lambda-max"], second.values["lambda-max"]] == pytest.approx([5, 5], rel=1e-3)
    third = monitor(2)
    assert third.values["lambda-max"] == pytest.approx(5, rel=1e-3)
    assert third.evidence["lambda-max"]["products"] < first.evidence["lambda-max"]["products"]


def monitored(file=None, **settings):
    return Monitor(Objective(network(), DATA), file=file, measures=["loss"], **settings)


class Clock:
    """Seconds that pass when they are added."""

    now = 0.0

    def __call__(self):
        return self.now


def test_rows_are_put_off_to_keep_the_share_and_counted():
    clock, rows = Clock(), []

    def slow(objective):
        clock.now += 4
        return 1.0

    monitor = monitored(every=5, share=0.2, clock=clock, also={"slow": slow})
    for step in range(200):
        clock.now += 1
        rows.append(monitor(step))
    rows = [row for row in rows if row]
    assert [row.step for row in rows] == [0, 35, 50, 65, 80, 95, 115, 130, 145, 160, 175, 195]
    assert [row.skipped for row in rows] == [0, 6, 2, 2, 2, 2, 3, 2, 2, 2, 2, 3]
    assert len(rows) + sum(row.skipped for row in rows) + monitor.skipped == 40
    assert all(row.spent <= 0.2 * row.elapsed for row in rows[1:])
    assert rows[1] == Row(35, rows[1].values, rows[1].evidence, {}, 6, 4.0, 8.0, 44.0)


def test_steps_are_due_by_intervals_also_where_the_caller_leaves_some_out():
    monitor = monitored(every=10, share=1)
    taken = [step for step in (1, 4, 9, 12, 12, 13, 31, 38, 40) if monitor(step)]
    assert taken == [1, 12, 31, 40]


def test_a_second_process_goes_on_with_the_file_and_the_distance(tmp_path):
    file, model = tmp_path / "deep" / "rows.jsonl", network()

    def begin(**settings):
        return Monitor(Objective(model, DATA), file=file, every=2, share=1, measures=["loss", "distance"], **settings)

    first = begin()
    assert [first(step) is not None for step in range(5)] == [True, False, True, False, True]
    with torch.no_grad():
        model[0].bias.add_(3.0)
    with file.open("a") as opened:
        opened.write('{"step": 6, "loss": 0.')  # killed while it wrote
    again = begin()
    with pytest.warns(RuntimeWarning, match="has rows up to step 4: steps up to there are not measured again"):
        assert again(3) is None  # the training goes on from an earlier checkpoint
    assert [again(step) is not None for step in range(4, 9)] == [False, False, True, False, True]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 2, 4, 6, 8]
    assert [row["distance"] for row in rows] == pytest.approx([0, 0, 0, 3 * 6**0.5, 3 * 6**0.5])
    assert rows[3]["spent"] > rows[2]["spent"]
    assert rows[3]["elapsed"] > rows[2]["elapsed"]
    (tmp_path / "deep" / "rows.start.safetensors").unlink()
    with pytest.raises(RunError, match=r"rows\.start\.safetensors beside it, .* is gone: restore it, give start="):
        begin()
    assert begin(start=torch.zeros(again.objective.layout.size))(10).values["distance"] > 0


def test_every_row_is_whole_in_the_file_at_once(tmp_path):
    file = tmp_path / "rows.jsonl"
    monitor = monitored(file, every=1, share=1)
    for step in range(3):
        monitor(step)
        assert [row["step"] for row in read_rows(file)] == list(range(step + 1))
    file.write_text(file.read_text()[:-5])
    assert [row["step"] for row in read_rows(file)] == [0, 1]


def test_a_diverged_training_leaves_nan_and_reasons():
    model = network()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    row = Monitor(Objective(model, DATA))(0)
    assert np.isnan(row.values["loss"])
    assert "not finite" in row.errors["lambda-max"]
    assert np.isnan(row.values["metric-2.1"])


def test_what_is_logged_and_a_log_that_fails():
    told = []
    row = monitored(log=lambda step, values: told.append((step, dict(values))))(7)
    assert told == [(7, row.values)]

    def offline(step, values):
        raise ConnectionError("nobody answers")

    assert monitored(log=offline)(7).errors == {"log": "ConnectionError: nobody answers"}


def test_a_measure_of_ones_own_is_a_number_or_a_result():
    own = {"half": lambda f: 0.5, "tensor": lambda f: torch.tensor(2.0), "trace": few}
    row = monitored(also=own)(0)
    assert (row.values["half"], row.values["tensor"]) == (0.5, 2.0)
    assert row.evidence["trace"]["products"] == 6
    assert row.line()["trace"] == row.values["trace"]
    failed = monitored(also={"top": lambda f: spectrum(f, k=1)})(0)
    assert "top" in failed.errors  # it has no single value


def test_a_file_that_cannot_be_written_does_not_end_the_training(tmp_path):
    file = tmp_path / "rows.jsonl"
    monitor = monitored(file)
    file.unlink()
    file.mkdir()
    with pytest.warns(RuntimeWarning, match="its row is lost"):
        assert monitor(0) is not None


def test_one_that_cannot_be_begun_does(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        monitored(tmp_path / "mine" / "rows.jsonl")
    (tmp_path / "prose.jsonl").write_text("not JSON\n")
    with pytest.raises(RunError, match="cannot read"):
        monitored(tmp_path / "prose.jsonl")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"every": 0}, "every is 0"),
        ({"share": 0}, "share is 0"),
        ({"share": 1.1}, "above 0, and at most 1"),
        ({"share": float("nan")}, "above 0, and at most 1"),
        ({"measures": ["loss", "flatness"]}, "no such measure: flatness; choose among loss, distance"),
        ({"also": {"loss": trace}}, "also names loss"),
        ({"start": torch.zeros(2)}, r"start has shape \[2\]; the model has"),
    ],
)
def test_monitors_that_make_no_sense(settings, says):
    with pytest.raises(UsageError, match=says):
        Monitor(Objective(network(), DATA), **settings)


def test_no_warning_where_all_is_well(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitored(tmp_path / "rows.jsonl", every=1, share=1)(0)
        monitored(tmp_path / "rows.jsonl", every=1, share=1)(1)
