"""Recipes: the built-in ones are the records' own commands; somebody's own are found and checked."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sharpmin import cli
from sharpmin.cli import figures as verbs
from sharpmin.cli.plot import with_large_batch
from sharpmin.cli.training import Options, config
from sharpmin.errors import TaskError, UsageError
from sharpmin.paper import inputs
from sharpmin.paper.budget import Budget
from sharpmin.paper.jobs import Job
from sharpmin.paper.metric import EPSILONS
from sharpmin.sweep import recipes
from sharpmin.sweep.recipes import BUILT_IN, load_recipe
from sharpmin.sweep.trial import Trial, named

OWN = """
from sharpmin.paper.jobs import Single
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import TrainConfig

single = Single("F1", 3, TrainConfig(epochs=1))

def runs(): return [single, Trial(single, data="synthetic")]
def tuples(): return (single,)
def nothing(): return None
def empty(): return []
def numbers(): return [single, 3]
def raises(): raise KeyError("gone")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ownrecipe.py").write_text(OWN)
    return lambda function: load_recipe(f"ownrecipe.py:{function}")


def plot_command(network, seed):
    """The job of `sharpmin plot -n NETWORK --until-converged --seed SEED --points 4`."""
    small = config(Options(network=network, until_converged=True, seed=seed), batch_size=256)
    job = Job(network=network, seed=seed, small_batch=small, large_batch=small, points=4)
    return with_large_batch(job, None, examples=60_000 if network == "F1" else 50_000)


@pytest.mark.parametrize("network", ["F1", "C1", "C3"])
def test_the_built_in_trials_are_the_commands_that_the_tables_are_made_with(network):
    trials = load_recipe(f"{network.lower()}-trials")
    assert [trial.job for trial in trials] == [plot_command(network, seed) for seed in range(5)]


def test_they_are_measured_as_tables_3_and_4_are():
    asked = [named(measure) for measure in load_recipe("f1-trials")[0].measures]
    assert {name for name, _ in asked} == {"sharpness"}
    found = [(options["subspace"], options["epsilon"]) for _, options in asked]
    assert found == [(None, EPSILONS[0]), (None, EPSILONS[1]), (100, EPSILONS[0]), (100, EPSILONS[1])]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_recipe_has_five_seeds_and_runs_that_differ(name, monkeypatch):
    of_f2_alone = SimpleNamespace(train=range(5000), test=range(10_000))
    monkeypatch.setattr(recipes, "whole", lambda *_: of_f2_alone)
    trials = load_recipe(name, data="synthetic" if name.startswith("f2") else None)
    assert {trial.job.seed for trial in trials} == set(range(5))
    assert len({replace(trial, measures=()) for trial in trials}) == len(trials)
    assert name.endswith("trials") == (len(trials) == 5)


@pytest.mark.parametrize("verb", ["batch-sizes", "sharpness-along"])
def test_those_of_figures_are_what_their_verbs_carry_out(verb, monkeypatch):
    def told(trials):
        return [(replace(trial, measures=()), [named(measure) for measure in trial.measures]) for trial in trials]

    def carried_out(trials, options):
        assert told(trials) == told(load_recipe(f"f1-{verb}", budget=Budget(images=5000, trials=2)))
        raise KeyboardInterrupt

    monkeypatch.setattr(inputs, "whole", lambda *_, **__: SimpleNamespace(train=range(60_000), test=range(10_000)))
    monkeypatch.setattr(verbs, "carried_out", carried_out)
    assert cli.run(f"paper {verb} -n F1 --budget images=5000,trials=2 --quiet".split()) == 130


def test_a_budget_and_other_data_make_a_recipe_smaller():
    trials = load_recipe("f2-trials", data="synthetic", budget=Budget(images=300, epochs=3, trials=2, test=90))
    assert [trial.source for trial in trials] == ["synthetic"] * 2
    for seed, job in enumerate(trial.job for trial in trials):
        assert (job.seed, job.train_size, job.small_batch.seed, job.large_batch.seed) == (seed, 300, seed, seed)
        assert job.test_size == 90
        assert [(c.batch_size, c.epochs) for c in (job.small_batch, job.large_batch)] == [(3, 3), (30, 3)]


def test_f2_needs_the_user_s_frames_and_takes_their_number(tmp_path):
    with pytest.raises(UsageError, match=r"give --data FILE\.npz or a Kaldi folder"):
        load_recipe("f2-trials")
    frames, labels = np.zeros((6000, 360), np.float32), np.arange(6000)[::-1]
    np.savez(tmp_path / "frames.npz", x=frames, y=labels)
    job = load_recipe("f2-trials", data=str(tmp_path / "frames.npz"))[0].job
    assert (job.small_batch.batch_size, job.large_batch.batch_size, job.train_size) == (54, 540, None)


def test_one_s_own_recipe_says_itself_what_it_trains_on(own):
    with pytest.raises(UsageError, match="a recipe of yours says both itself"):
        load_recipe("ownrecipe.py:runs", data="synthetic")


def test_one_s_own_may_leave_data_and_measures_out(own):
    first, second = own("runs")
    assert (first, second) == (Trial(second.job), Trial(first.job, data="synthetic"))
    assert own("tuples") == [first]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("nothing", "returned NoneType: let it return a list"),
        ("empty", "at least one"),
        ("numbers", "returned a int in its list"),
        ("absent", "no function 'absent'"),
    ],
)
def test_something_else_is_refused(own, function, says):
    with pytest.raises(UsageError, match=says):
        own(function)


def test_an_error_in_one_s_own_code_says_whose_it_is(own):
    with pytest.raises(TaskError, match=r"ownrecipe\.py:raises failed with KeyError"):
        own("raises")


def test_an_unknown_name_lists_the_built_in_ones():
    with pytest.raises(UsageError, match="choose one of f1-trials, f2-trials"):
        load_recipe("f3-trials")
