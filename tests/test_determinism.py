"""The probe finds what evaluation mode leaves random, and tells what kind it is."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import examples, shallow, softmax_regression
from sharpmin.determinism import what_is_random
from sharpmin.errors import UsageError
from sharpmin.objective import Objective, classification


def test_an_ordinary_objective_is_a_function():
    problem = softmax_regression()
    assert what_is_random(Objective(problem.model, problem.data, batch_size=5)) is None
    assert what_is_random(Objective(shallow(dropout=0.5), examples(9, 2, 8, 8))) is None


class AlwaysDropping(nn.Linear):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.5))  # forgets `training=self.training`


def test_a_dropout_that_ignores_evaluation_mode():
    f = Objective(AlwaysDropping(4, 3), examples(9, 4, dtype=torch.float32))
    assert f.value(f.theta) == f.value(f.theta)  # one fixed draw
    assert "random even in evaluation mode" in what_is_random(f)


def test_numpys_random_numbers_in_the_loss():
    draw = np.random.default_rng(0)
    f = Objective(
        nn.Linear(4, 3),
        examples(9, 4, dtype=torch.float32),
        loss=lambda model, batch: classification(model, batch).losses + draw.normal(),
    )
    assert "outside PyTorch" in what_is_random(f)


class Augmented(torch.utils.data.Dataset):
    def __init__(self):
        self.draw = np.random.default_rng(0)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((4,), float(index)) + float(self.draw.normal()), index % 3


def test_an_augmentation_that_pytorchs_seed_does_not_reach():
    f = Objective(nn.Linear(4, 3), torch.utils.data.DataLoader(Augmented(), batch_size=4))
    assert "different batches" in what_is_random(f)


def test_a_shuffle_is_no_randomness_of_the_loss():
    problem = softmax_regression(dtype=torch.float32)
    pairs = list(zip(problem.data.inputs, problem.data.targets, strict=True))
    f = Objective(problem.model, torch.utils.data.DataLoader(pairs, batch_size=5, shuffle=True))
    assert what_is_random(f) is None


def test_nan_is_not_taken_for_randomness():
    problem = softmax_regression()
    problem.data.inputs.fill_(float("nan"))
    assert what_is_random(Objective(problem.model, problem.data)) is None


@pytest.mark.parametrize("data", [[], torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(0, 4)))])
def test_data_without_a_batch_are_an_error_that_says_so(data):
    with pytest.raises(UsageError, match="the data gave no examples"):
        what_is_random(Objective(nn.Linear(4, 3), data))


@pytest.mark.parametrize("several", [False, True])
def test_a_samplers_own_generator_is_given_back_after_every_pass(several):
    own = torch.Generator().manual_seed(5)
    found = examples(13, 4, dtype=torch.float32)
    data = torch.utils.data.TensorDataset(found.inputs, found.targets)
    sampler = torch.utils.data.RandomSampler(data, generator=own)
    if several:
        options = {"batch_sampler": torch.utils.data.BatchSampler(sampler, 5, drop_last=True)}
    else:
        options = {"sampler": sampler, "batch_size": 5, "drop_last": True}
    f = Objective(nn.Linear(4, 3), torch.utils.data.DataLoader(data, **options))
    before = own.get_state()
    assert f.value(f.theta) == f.value(f.theta)
    assert torch.equal(own.get_state(), before)
    assert what_is_random(f) is None


def test_a_generator_is_told_from_a_shuffle():
    f = Objective(nn.Linear(4, 3), (batch for batch in [(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))] * 3))
    with pytest.raises(UsageError, match="a generator, can be read only once"):
        what_is_random(f)
