"""What is handed out, again where a worker is lost, and what comes back."""

from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import replace
from pathlib import Path

import pytest

from sharpmin import runtime
from sharpmin.paper.jobs import WarmStart
from sharpmin.sweep.driver import carry_out, order, token_of
from sharpmin.sweep.plan import plan
from sharpmin.sweep.work import work
from sweep.toys import SINGLE, SMALL, one_diverges, pair, same


@pytest.fixture(autouse=True)
def untuned(monkeypatch):
    """Leave this process's threads and allocator alone."""
    monkeypatch.setattr(runtime, "tune", lambda *, threads=None: runtime.Tuned(threads or 1, "left alone: a test"))


class Here(Executor):
    """Runs in this process; the first `losses` calls lose their worker."""

    def __init__(self, losses=0):
        self.losses, self.calls, self.pending, self.most, self.closed = losses, 0, 0, 0, False

    def submit(self, function, /, *args):
        self.calls += 1
        self.pending += 1
        self.most = max(self.most, self.pending)
        future = Future()
        future.add_done_callback(self.forget)
        if self.calls <= self.losses:
            future.set_exception(BrokenExecutor("the machine went away"))
        else:
            future.set_result(function(*args))
        return future

    def forget(self, _):
        self.pending -= 1

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.closed = True


def planned(trials, runs):
    return plan(trials, runs=runs, device="cpu")


def test_a_sweep_again_computes_only_what_is_missing(tmp_path):
    trials, engine = [SINGLE, pair(measures=())], Here()
    assert carry_out(planned(trials, tmp_path), engine, runs=tmp_path) == []
    assert (engine.calls, engine.closed) == (2, True)
    assert [run.state for run in planned(trials, tmp_path)] == ["complete", "complete"]
    again = Here()
    more = [*trials, replace(SINGLE, job=replace(SINGLE.job, seed=1))]
    assert carry_out(planned(more, tmp_path), again, runs=tmp_path) == []
    assert again.calls == 1


def test_a_run_that_fails_does_not_stop_the_others(tmp_path):
    trials = one_diverges()
    (failure,) = carry_out(planned(trials, tmp_path), Here(), runs=tmp_path)
    bad, good = planned(trials, tmp_path)
    assert failure.folder == bad.folder
    assert "learning rate 1e+38" in failure.error
    assert "\n" not in failure.error
    assert "DivergedError" in failure.traceback
    assert (bad.state, good.state) == ("begun", "complete")


@pytest.mark.parametrize(("losses", "calls", "failed"), [(2, 3, False), (3, 3, True)])
def test_a_run_whose_worker_is_lost_is_handed_out_three_times(tmp_path, losses, calls, failed):
    engine, said = Here(losses), []
    found = carry_out(
        planned([replace(SINGLE, measures=())], tmp_path),
        engine,
        runs=tmp_path,
        progress=lambda task, done, total, *, unit="", note="": said.append((done, total, note)),
    )
    assert engine.calls == calls
    assert bool(found) == failed
    assert not failed or found[0].error == "its worker was lost 3 times, last: BrokenExecutor: the machine went away"
    assert said[0] == (0, 1, "1 running")
    assert said[-1] == (1, 1, ("1 failed, " if failed else "") + f"{losses} workers lost")


def test_the_engine_is_shut_down_when_the_driver_is_interrupted(tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    engine = Here()
    with pytest.raises(KeyboardInterrupt):
        carry_out(planned([SINGLE], tmp_path), engine, runs=tmp_path, progress=interrupt)
    assert engine.closed


def test_a_worker_that_does_not_share_the_folder_sends_it_back(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    (run,) = planned([SINGLE], here)
    elsewhere = replace(order(run, here, token_of(here), device="cpu", threads=1), runs=str(there))
    outcome = work(elsewhere)
    assert (outcome.error, there.exists()) == (None, False)
    assert {Path(name).parts[0] for name in outcome.files} == {run.folder.name}

    class Elsewhere(Here):
        def submit(self, function, /, order):
            return super().submit(function, replace(order, runs=str(there)))

    assert carry_out([run], Elsewhere(), runs=here) == []
    carry_out(planned([SINGLE], there), Here(), runs=there)
    assert same(run.folder, there / run.folder.name)
    assert [run.state for run in planned([SINGLE], here)] == ["complete"]


def test_of_a_warm_start_carried_out_elsewhere_only_its_own_folder_comes_back(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    warm = replace(SINGLE, job=replace(SINGLE.job, warm_start=WarmStart(SMALL, 1)), measures=())
    (run,) = planned([warm], here)
    outcome = work(replace(order(run, here, token_of(here), device="cpu", threads=1), runs=str(there)))
    assert outcome.error is None
    assert {Path(name).parts[0] for name in outcome.files} == {run.folder.name}


def test_another_machine_s_folder_of_the_same_name_is_not_the_driver_s(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    (run,) = planned([SINGLE], here)
    assert token_of(there) != token_of(here)
    assert work(replace(order(run, here, token_of(here), device="cpu", threads=1), runs=str(there))).files
