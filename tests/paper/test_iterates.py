"""Iterates kept where asked, also by a training that had passed them by; large-batch training started from them."""

from dataclasses import replace

import pytest

from cases import same_bits, toy
from sharpmin.errors import UsageError
from sharpmin.paper import minimizers
from sharpmin.paper.iterates import file_of, point_of
from sharpmin.paper.jobs import Single, WarmStart
from sharpmin.paper.single import compute
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import TrainConfig
from sharpmin.training import train
from sharpmin.zoo import build
from sweep.toys import pair

SPLIT = toy()
SMALL = TrainConfig(batch_size=16, epochs=3, seed=3)
JOB = Single("F1", 3, SMALL)
LARGE = replace(JOB, config=replace(SMALL, batch_size=25, epochs=2))


def computed(runs, job=JOB, iterates=(1, 2)):
    return compute(job, SPLIT, runs=runs, environment={"threads": 1}, iterates=iterates)


def trained(config, weights=None):
    """The weights after a training that knows nothing of run folders."""
    model = build("F1", seed=3, shape=(6,), classes=3)
    if weights is not None:
        model.load_state_dict(weights)
    return train(model, SPLIT.train, config).weights


@pytest.fixture
def killed(monkeypatch):
    """Compute, but be killed before the checkpoint of an epoch of the training of this name."""

    def kill(runs, *, name="solution", epoch, **how):
        def save_state(run, of, state, *, finished):
            if (of, state.epochs) == (name, epoch):
                raise KeyboardInterrupt
            keep(run, of, state, finished=finished)

        keep = minimizers.Run.save_state
        with monkeypatch.context() as patch:
            patch.setattr(minimizers.Run, "save_state", save_state)
            with pytest.raises(KeyboardInterrupt):
                computed(runs, **how)

    return kill


@pytest.fixture
def epochs_trained(monkeypatch):
    """The epochs that are trained, as they are."""
    seen = []
    epoch = minimizers.train.__globals__["train_epoch"]
    monkeypatch.setitem(
        minimizers.train.__globals__, "train_epoch", lambda *a, **how: seen.append(how["epoch"]) or epoch(*a, **how)
    )
    return seen


def test_they_are_the_weights_of_a_training_that_ends_there(tmp_path):
    state, run = computed(tmp_path)
    for epoch in (1, 2):
        assert same_bits(run.load(f"solution.epoch-{epoch}")[0], trained(replace(SMALL, epochs=epoch)))
    assert same_bits(run.load("solution")[0], trained(SMALL))
    assert same_bits(state.weights, trained(SMALL))


def test_only_what_is_asked_for_is_kept_and_the_folder_is_the_same(tmp_path):
    _, plain = computed(tmp_path / "plain", iterates=())
    _, run = computed(tmp_path, iterates=(0, 2, 3))
    assert run.folder.name == plain.folder.name
    kept = {file.name for file in run.folder.glob("*.safetensors")}
    assert kept - {file.name for file in plain.folder.glob("*.safetensors")} == {"solution.epoch-2.safetensors"}
    assert [(point_of(e, SMALL), file_of(e, SMALL)) for e in (0, 3)] == [("epoch 0", "x0"), ("solution", "solution")]


def test_a_finished_training_is_carried_out_once_more_beside_its_solution(tmp_path, epochs_trained):
    _, run = computed(tmp_path, iterates=())
    file = run.folder / "solution.safetensors"
    before = file.stat().st_mtime_ns, file.read_bytes()
    computed(tmp_path)
    assert epochs_trained == [1, 2, 3, 1, 2]
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    assert same_bits(run.load("solution.epoch-2")[0], trained(replace(SMALL, epochs=2)))
    assert not list(run.folder.glob("replay*"))
    computed(tmp_path)
    assert len(epochs_trained) == 5 + 2  # those of `trained`


def test_killed_it_goes_on_and_keeps_what_it_passes(tmp_path, killed, epochs_trained):
    killed(tmp_path, epoch=2)
    _, run = computed(tmp_path)
    assert epochs_trained == [1, 2, 2, 3]
    assert same_bits(run.load("solution.epoch-2")[0], trained(replace(SMALL, epochs=2)))


def test_killed_beyond_what_is_asked_for_now_it_begins_again(tmp_path, killed, epochs_trained):
    killed(tmp_path, epoch=3, iterates=())
    _, run = computed(tmp_path, iterates=(1,))
    assert epochs_trained == [1, 2, 3, 1, 2, 3]
    assert same_bits(run.load("solution.epoch-1")[0], trained(replace(SMALL, epochs=1)))


def test_killed_while_carried_out_once_more_it_goes_on(tmp_path, killed, epochs_trained):
    longer = replace(JOB, config=replace(SMALL, epochs=4))
    computed(tmp_path, longer, iterates=())
    killed(tmp_path, name="replay", epoch=2, job=longer, iterates=(3,))
    _, run = computed(tmp_path, longer, iterates=(3,))
    assert epochs_trained == [1, 2, 3, 4, 1, 2, 2, 3]
    assert same_bits(run.load("solution.epoch-3")[0], trained(SMALL))


def test_a_warm_start_begins_at_the_very_iterate_and_with_fresh_moments(tmp_path, epochs_trained):
    _, small = computed(tmp_path)
    state, run = computed(tmp_path, replace(LARGE, warm_start=WarmStart(SMALL, 2)), iterates=())
    assert epochs_trained == [1, 2, 3, 1, 2]
    iterate = small.load("solution.epoch-2")[0]
    assert same_bits(run.load("x0")[0], iterate)
    assert same_bits(state.weights, trained(LARGE.config, iterate))
    assert not same_bits(state.weights, trained(LARGE.config))


def test_a_warm_start_whose_training_is_not_there_carries_it_out(tmp_path):
    _, run = computed(tmp_path, replace(LARGE, warm_start=WarmStart(replace(SMALL, epochs=1), 1)), iterates=())
    assert same_bits(run.load("x0")[0], trained(replace(SMALL, epochs=1)))
    assert len(list(tmp_path.iterdir())) == 2


def test_killed_in_the_large_batch_phase_it_goes_on_to_the_same_bits(tmp_path, killed):
    warm = replace(LARGE, warm_start=WarmStart(SMALL, 1))
    whole, _ = computed(tmp_path / "whole", warm, iterates=())
    computed(tmp_path)
    killed(tmp_path, job=warm, epoch=2, iterates=())
    state, _ = computed(tmp_path, warm, iterates=())
    assert same_bits(state.weights, whole.weights)


@pytest.mark.parametrize(
    ("job", "epochs"),
    [(pair().job, (1,)), (replace(JOB, config=replace(SMALL, until_converged=True)), (1,)), (JOB, (4,)), (JOB, (-1,))],
)
def test_iterates_that_a_training_may_not_come_to(job, epochs):
    with pytest.raises(UsageError, match="iterate"):
        Trial(job, iterates=epochs)
