"""Settings take turns in processes of their own, which end whatever happens."""

import pytest

from sharpmin.doctor.contest import Contest, Contestant, Worker, affordable, contest, workers
from sharpmin.doctor.worker import Turn
from sharpmin.errors import SharpminError


def test_a_contest_of_two():
    told = []
    settings = {"one": Contestant(Turn(1)), "narrow": Contestant(Turn(1, precision="bfloat16"))}
    found = contest(settings, rounds=3, seconds=0, progress=lambda *said, **more: told.append(said))
    assert {name: len(times) for name, times in found.seconds.items()} == {"one": 1, "narrow": 1}
    assert min(*found.seconds["one"], *found.seconds["narrow"]) > 0
    assert told == [("measure", 1, 3)]


def test_a_process_for_each_allocator_and_all_are_ended():
    settings = {"a": Contestant(Turn(1)), "b": Contestant(Turn(2)), "c": Contestant(Turn(1), allocator="default")}
    started = {}

    def interrupted():
        with workers(settings) as running:
            started.update(running)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(started) == {"kept", "default"}
    assert all(worker.process.poll() is not None for worker in started.values())


def test_a_process_that_ends_is_reported():
    worker = Worker("kept")
    worker.process.kill()
    with pytest.raises((SharpminError, BrokenPipeError)):
        worker.seconds(Turn(1))
    worker.close()


class Slow:
    def __init__(self, each):
        self.each = each

    def seconds(self, turn):
        return self.each * turn.examples


@pytest.mark.parametrize(("each", "examples"), [(0.001, 256), (0.004, 128), (0.1, 32)])
def test_the_step_is_as_large_as_time_allows(each, examples):
    assert affordable(Slow(each), Turn(1)) == examples


def test_rounds_are_paired():
    found = Contest(32, {"a": [1.0, 4.0], "b": [2.0, 2.0]})
    assert found.speedup("a", over="b").minimum == 0.5
