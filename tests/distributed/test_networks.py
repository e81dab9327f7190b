"""Which networks several processes can train."""

import pytest
import torch
from torch import nn

from cases import examples, shallow
from sharpmin.blocked import Blocked
from sharpmin.distributed.group import ALONE, Group
from sharpmin.distributed.networks import spread
from sharpmin.errors import UsageError
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

CPU = torch.device("cpu")


def test_a_chain_sees_the_whole_group():
    network = spread(shallow(), Group(rank=1, size=2), device=CPU)
    assert isinstance(network, Blocked)
    assert network.group == Group(rank=1, size=2)


def test_alone_a_gpu_computes_the_network_as_it_is():
    model = shallow()
    assert spread(model, ALONE, device=torch.device("cuda")) is model
    assert isinstance(spread(model, Group(size=2), device=torch.device("cuda")), Blocked)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False)])
def test_a_batchnorm_that_would_see_one_part_is_refused(norm):
    inner = nn.Sequential(nn.Linear(4, 3), norm, nn.ReLU())
    model = nn.Sequential(inner, nn.Linear(3, 3))
    assert spread(model, ALONE, device=CPU) is model
    with pytest.raises(UsageError, match="train it in one process"):
        train(model.double(), examples(8, 4), TrainConfig(batch_size=4, epochs=1), group=Group(size=2))


def test_without_batchnorm_any_network_will_do():
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    assert spread(model, Group(size=2), device=CPU) is model
