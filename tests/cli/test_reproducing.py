"""The shared opening of the paper's verbs: what a budget leaves, and a list of runs carried out, in small."""

from dataclasses import replace
from importlib import import_module

import pytest

from sharpmin.cli.reproducing import Reproduction, carried_out, command, extent
from sharpmin.errors import RunError, UsageError
from sweep.toys import SINGLE, one_diverges

OPTIONS = Reproduction(network="F1", data="synthetic", quiet=True, device="cpu")


def test_what_the_budget_leaves_of_the_data_as_they_are():
    whole = extent(OPTIONS, epochs=100)
    assert (whole.train_size, whole.epochs, whole.seeds, whole.scaled) == (None, 100, (0, 1, 2, 3, 4), "")
    small = extent(replace(OPTIONS, budget="images=40,epochs=2", trials=1, seed=7, epochs=3), epochs=100)
    assert (small.images, small.train_size, small.epochs, small.seeds) == (40, 40, 2, (7,))
    assert small.scaled == f"scaled down: 40 of {whole.images:,} images, 2 of 3 epochs"
    assert (small.test_size, extent(replace(OPTIONS, budget="test=30"), epochs=1).test_size) == (None, 30)


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"trials": 0}, {"budget": "images=0"}])
def test_nothing_at_all_is_refused(bad):
    with pytest.raises(UsageError, match=r"at least 1|images=0"):
        extent(replace(OPTIONS, **bad), epochs=100)


@pytest.mark.usefixtures("in_process")
def test_runs_are_carried_out_once(tmp_path, monkeypatch, capsys):
    options = replace(OPTIONS, out=tmp_path)
    (run,) = carried_out([SINGLE], options)
    assert (run.folder / "solution.safetensors").exists()
    assert capsys.readouterr().out == f"1 of 1 runs complete, in {tmp_path / 'runs'}\n"
    monkeypatch.setattr(import_module("sharpmin.cli.sweep"), "executor", lambda *_, **__: pytest.fail("carried out"))
    (again,) = carried_out([SINGLE], options)
    assert (again.folder, again.state) == (run.folder, "complete")


@pytest.mark.usefixtures("in_process")
def test_a_run_that_fails_is_told_and_the_others_are_kept(tmp_path, capsys):
    with pytest.raises(RunError, match="1 of 2 runs failed"):
        carried_out(one_diverges(), replace(OPTIONS, out=tmp_path))
    assert "learning rate 1e+38" in capsys.readouterr().err
    assert len(list(tmp_path.glob("runs/*/solution.safetensors"))) == 1


def test_the_command_says_what_is_computed_and_not_where(tmp_path):
    options = replace(OPTIONS, out=tmp_path, workers=3, budget="epochs=1", seed=2)
    assert command("warm-start", options, every=5, large_batch=None) == (
        "sharpmin paper warm-start -n F1 --budget epochs=1 --seed 2 --data synthetic --every 5"
    )
