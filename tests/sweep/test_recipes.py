"""Recipes: the built-in ones are the records' own commands; somebody's own are found and checked."""

from dataclasses import replace

import pytest

from sharpmin.cli.plot import with_large_batch
from sharpmin.cli.training import Options, config
from sharpmin.errors import TaskError, UsageError
from sharpmin.paper.parametric import Job
from sharpmin.paper.tables import EPSILONS
from sharpmin.sweep.recipes import BUILT_IN, load_recipe
from sharpmin.sweep.trial import Trial, named

OWN = """
from sharpmin.paper.single import Single
from sharpmin.sweep.trial import Trial
from sharpmin.training import TrainConfig

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
def test_every_built_in_recipe_has_five_runs_that_differ(name):
    assert len({replace(trial, measures=()) for trial in load_recipe(name)}) == 5


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
    with pytest.raises(UsageError, match="choose one of f1-trials, c1-trials"):
        load_recipe("f2-trials")
