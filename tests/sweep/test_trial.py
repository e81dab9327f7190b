"""A trial refuses at once what a worker could not be told."""

import pickle
from functools import partial

import pytest

from sharpmin.errors import UsageError
from sharpmin.measures import sharpness
from sharpmin.paper.jobs import Single
from sharpmin.sweep.trial import Trial, named
from sharpmin.train_config import TrainConfig
from sweep.toys import SINGLE, SMALL, pair


class Holder:
    def method(self, objective):
        return objective


def test_a_measure_has_its_function_s_name_and_its_options():
    assert named(sharpness) == ("sharpness", {})
    assert named(partial(sharpness, epsilon=1e-3, seed=1)) == ("sharpness", {"epsilon": 1e-3, "seed": 1})


def test_options_are_as_a_row_of_json_gives_them_back():
    assert named(partial(sharpness, grid=(1, 2)))[1] == {"grid": [1, 2]}


@pytest.mark.parametrize("measure", [lambda f: f, Holder().method, partial(sharpness, None), 3])
def test_what_cannot_be_found_by_name_is_refused(measure):
    with pytest.raises(UsageError, match="cannot be sent to a worker"):
        Trial(SINGLE.job, measures=(measure,))


def test_options_that_are_no_json_are_refused():
    with pytest.raises(UsageError, match="options of sharpness go into its rows as JSON"):
        Trial(SINGLE.job, measures=(partial(sharpness, subspace=object()),))


def test_a_network_that_the_paper_has_not_is_refused():
    with pytest.raises(UsageError, match="unknown network 'F9'"):
        Trial(Single("F9", 0, TrainConfig()))


def test_its_data_are_the_network_s_own_unless_named():
    assert (Trial(SINGLE.job).source, SINGLE.source) == ("mnist", "synthetic")


def test_a_pair_has_two_configurations_and_a_single_training_one():
    assert [config.batch_size for config in pair().job.configs] == [16, 30]
    assert SINGLE.job.configs == (SMALL,)


def test_it_travels():
    assert pickle.loads(pickle.dumps(pair())).job == pair().job
