"""Two and three real processes compute what one does."""

import contextlib
import random
import socket

import pytest
import torch

from cases import same_bits
from computed import everything
from forked import exit_code, start

EVERYTHING = """
import sys, torch
from computed import everything
from sharpmin.distributed.world import join, leave

torch.set_num_threads(1)
world = join()
torch.save(everything(world), f"{sys.argv[1]}/{world.rank}.pt")
leave()
"""


REFUSED = """
import sys, types, torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler
from cases import examples, shallow
from sharpmin.data import Examples
from sharpmin.distributed.world import join, leave
from sharpmin.errors import RunError
from sharpmin.objective import Objective
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

world = join()

class Langevin(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                weight.add_(torch.randn_like(weight), alpha=1e-3)

sys.modules["langevin"] = types.SimpleNamespace(Langevin=Langevin)

def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()

def other_buffers():
    model = normed()
    model[1].running_mean.fill_(world.rank)
    Objective(model, examples(6, 4), group=world)

def other_frozen():
    model = normed()
    model[0].weight.requires_grad_(False).fill_(world.rank)
    Objective(model, examples(6, 4), group=world)

def other_order():
    data = examples(6, 4)
    Objective(normed(), Examples(data.inputs.roll(world.rank, 0), data.targets), group=world)

def shards():
    data = examples(12, 4)
    pairs = list(zip(data.inputs, data.targets))
    loader = DataLoader(pairs, batch_size=3, sampler=DistributedSampler(pairs))
    Objective(normed(), loader, group=world)

def other_start():
    torch.manual_seed(world.rank)
    train(nn.Linear(4, 3).double(), examples(6, 4), TrainConfig(batch_size=3, epochs=1), group=world)

def random_optimizer():
    torch.manual_seed(0)
    config = TrainConfig(batch_size=3, epochs=1, optimizer="langevin:Langevin", learning_rate=0.1)
    train(nn.Linear(4, 3).double(), examples(6, 4), config, group=world)

said = {}
for attempt in (other_buffers, other_frozen, other_order, shards, other_start, random_optimizer):
    try:
        attempt()
    except RunError as error:
        said[attempt.__name__] = str(error)
torch.save(said, f"{sys.argv[1]}/{world.rank}.pt")
leave()
"""


def free_port():
    """One that is free, and not among those that the system gives to whoever asks for any, as gloo does meanwhile."""
    while True:
        with socket.socket() as tried, contextlib.suppress(OSError):
            port = random.randrange(20_000, 32_000)
            tried.bind(("127.0.0.1", port))
            return port


def together(size, out, program=EVERYTHING):
    """Start so many processes as torchrun does, without its own two seconds; what each of them found."""
    port = free_port()
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
    }
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]
    assert exit_code(*[start(program, out, **shared, **rank) for rank in ranks]) == 0
    return [torch.load(out / f"{rank}.pt") for rank in range(size)]


@pytest.fixture(scope="module")
def alone():
    """In one thread, as each of several has: the bits of a sum depend on how many add up."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield everything()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[2, 3])
def ranks(request, tmp_path_factory):
    return together(request.param, tmp_path_factory.mktemp("processes"))


def test_every_process_has_the_same_bits(ranks):
    assert all(same_bits(ranks[0], other) for other in ranks[1:])


def test_they_are_those_of_one_process_to_rounding(ranks, alone):
    assert ranks[0].keys() == alone.keys()
    for name, expected in alone.items():
        torch.testing.assert_close(ranks[0][name], expected, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def test_losses_are_those_of_one_process_bit_for_bit(ranks, alone):
    names = [name for name in alone if name.endswith(("losses", "value"))]
    assert len(names) == 9
    assert all(torch.equal(ranks[0][name], alone[name]) for name in names)


def test_what_is_not_the_same_in_all_processes_is_refused(tmp_path):
    refused = together(2, tmp_path, REFUSED)
    assert refused[0] == refused[1]
    differing = {name: said.split("the same ")[1].split(":")[0] for name, said in refused[0].items()}
    assert differing == {
        "other_buffers": "weights",
        "other_frozen": "weights",
        "other_order": "data",
        "shards": "data",
        "other_start": "weights",
        "random_optimizer": "weights after epoch 1",
    }
