"""Two and three real processes compute what one does."""

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


def together(size, out):
    """Start so many processes as torchrun does, without its own two seconds; what each of them found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
    }
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]
    assert exit_code(*[start(EVERYTHING, out, **shared, **rank) for rank in ranks]) == 0
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
    assert len(names) == 8
    assert all(torch.equal(ranks[0][name], alone[name]) for name in names)
