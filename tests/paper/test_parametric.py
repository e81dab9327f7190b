"""The original script's job in small: what is computed once, and what it equals."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from cases import same_bits, tiny_job, toy
from sharpmin.data import Examples, synthetic
from sharpmin.errors import DivergedError, RunError, SharpminError
from sharpmin.objective import Objective
from sharpmin.paper import minimizers, parametric
from sharpmin.paper.parametric import compute
from sharpmin.progress import silent

SPLIT = toy()


def computed(runs, job=None, split=SPLIT):
    return compute(job or tiny_job(), split, runs=runs, environment={"threads": 1})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished job: its numbers and its run folder."""
    return computed(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(minimizers, "train", lambda *_, **__: pytest.fail("trained again"))


def solution(run, name):
    """The network at a solution, as anyone would load it."""
    model = parametric.network(tiny_job(), SPLIT)
    model.load_state_dict(run.load(name)[0])
    return model


def test_the_ends_of_the_curve_are_the_endpoints_own_evaluation_bit_for_bit(finished):
    plot, run = finished
    by_alpha = {point.alpha: point for point in plot.points}
    for alpha, name in ((0, "small_batch"), (1, "large_batch")):
        point, last = by_alpha[alpha], plot.final[name]
        assert (point.test_loss, point.test_accuracy) == (last.test_loss, last.test_accuracy)  # as training saw it
        f = Objective(solution(run, name), SPLIT.train, batch_norm="batch")
        assert (point.train_loss, point.train_accuracy) == (f.measure(f.theta).loss, f.measure(f.theta).accuracy)


def test_the_ends_are_bit_for_bit_for_convolutions_too(tmp_path):
    split = synthetic(train=25, test=6, shape=(1, 5, 5), classes=2)
    plot, _ = computed(tmp_path, replace(tiny_job(), network="C1"), split)
    assert plot.points[1].test_loss == plot.final["small_batch"].test_loss
    assert plot.points[2].test_loss == plot.final["large_batch"].test_loss


@torch.no_grad()
def test_every_point_equals_a_plain_evaluation_of_interpolated_weights(finished):
    plot, run = finished
    small, large = (list(solution(run, name).parameters()) for name in ("small_batch", "large_batch"))
    assert [point.alpha for point in plot.points] == [-1, 0, 1, 2]
    for point in plot.points:
        model = solution(run, "x0")
        for p, a, b in zip(model.parameters(), small, large, strict=True):
            p.copy_(point.alpha * b + (1 - point.alpha) * a)
        logits = model(SPLIT.train.inputs)
        assert point.train_loss == pytest.approx(F.cross_entropy(logits, SPLIT.train.targets).item(), rel=1e-4)
        hits = (logits.argmax(1) == SPLIT.train.targets).float().mean().item()
        assert point.train_accuracy == pytest.approx(hits, abs=0.03)


def test_both_trainings_start_at_the_x0_kept(finished, tmp_path, monkeypatch):
    starts = []

    def recorded(model, *_, **__):
        starts.append({name: p.detach().clone() for name, p in model.named_parameters()})
        raise InterruptedError

    _, run = finished
    monkeypatch.setattr(minimizers, "train", recorded)
    for name, config in ((n, tiny_job().small_batch) for n in ("one", "other")):
        model = parametric.network(tiny_job(), SPLIT)
        with pytest.raises(InterruptedError):
            minimizers.solve(run, name, model, SPLIT, config, device="cpu", progress=silent)
    x0, _ = run.load("x0")
    assert same_bits(starts[0], x0)
    assert same_bits(starts[1], x0)


def test_the_second_time_nothing_is_computed(finished, no_training, monkeypatch):
    plot, run = finished
    monkeypatch.setattr(Objective, "measure", lambda *_: pytest.fail("evaluated again"))
    again, _ = computed(run.folder.parent)
    assert again == plot


def test_the_arc_and_a_finer_grid_share_the_trainings(finished, no_training):
    plot, run = finished
    arc, same = computed(run.folder.parent, tiny_job(path="arc"))
    fine, _ = computed(run.folder.parent, tiny_job(points=7))
    assert same == run
    assert arc.points[1:3] == plot.points[1:3]  # the ends
    assert arc.points[0] != plot.points[0]
    assert fine.points[::2] == plot.points


def test_another_setting_or_other_data_is_another_run(finished, monkeypatch):
    monkeypatch.setattr(parametric, "starting_point", lambda _job, _split, run: (_ for _ in ()).throw(Stop(run)))
    _, run = finished
    spoilt = replace(SPLIT, test=Examples(SPLIT.test.inputs.roll(1), SPLIT.test.targets))
    for job, split in ((replace(tiny_job(), seed=1), SPLIT), (tiny_job(), spoilt)):
        with pytest.raises(Stop) as stop:
            computed(run.folder.parent, job, split)
        assert stop.value.args[0] != run


class Stop(Exception):
    pass


def test_a_half_evaluated_path_goes_on_to_the_same_numbers(finished, no_training, monkeypatch):
    plot, run = finished
    rows = run.read_lines("line-4-5000.jsonl")
    run.write_lines("line-4-5000.jsonl", rows[:3])
    measured = []
    measure = Objective.measure_groups

    def counted(self, thetas, **how):
        few = list(thetas)
        measured.append(len(few))
        return measure(self, few, **how)

    monkeypatch.setattr(Objective, "measure_groups", counted)
    again, _ = computed(run.folder.parent)
    assert again.points == plot.points
    assert measured == [1, 1]  # training and test set at the one point missing


def test_a_diverged_training_keeps_its_last_good_checkpoint(tmp_path):
    config = replace(tiny_job().small_batch, epochs=3)
    _, run = computed(tmp_path, tiny_job(small_batch=config))
    state = run.load_state("small_batch")
    (run.folder / "small_batch.safetensors").unlink()
    weights = {name: torch.full_like(w, torch.nan) for name, w in state.weights.items()}
    run.save_state("small_batch", replace(state, weights=weights, history=state.history[:1]), finished=False)
    kept = (run.folder / "small_batch.checkpoint.safetensors").read_bytes()
    with pytest.raises(DivergedError, match="epoch 2, step 1"):
        computed(tmp_path, tiny_job(small_batch=config))
    assert (run.folder / "small_batch.checkpoint.safetensors").read_bytes() == kept


def test_weights_of_another_network_in_the_run_are_refused(finished, tmp_path):
    _, run = finished
    for name in ("settings.json", "x0.safetensors"):
        (tmp_path / run.folder.name).mkdir(exist_ok=True)
        (tmp_path / run.folder.name / name).write_bytes((run.folder / name).read_bytes())
    foreign = parametric.Run(tmp_path / run.folder.name)
    state = run.load_state("small_batch")
    foreign.save_state("small_batch", replace(state, weights={"weight": torch.zeros(2)}), finished=True)
    with pytest.raises(RunError, match="small_batch belongs to another run"):
        computed(tmp_path)


def test_a_batch_that_memory_cannot_hold_stops_before_training(tmp_path, no_training, monkeypatch):
    monkeypatch.setattr("sharpmin.memory.available_memory", lambda: 2**20)
    with pytest.raises(SharpminError, match="out of memory: a batch of 25 needs about"):
        computed(tmp_path)


def test_a_finished_run_is_drawn_elsewhere_with_the_environment_it_was_computed_in(tmp_path, monkeypatch):
    first, _ = computed(tmp_path)
    monkeypatch.setattr("sharpmin.memory.available_memory", lambda: 1)  # too little to train, enough to draw
    again, _ = compute(tiny_job(), SPLIT, runs=tmp_path, environment={"threads": 9})
    assert again == first
    assert again.environment == {"threads": 1}
