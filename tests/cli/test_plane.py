"""`sharpmin plane`: around one checkpoint, through three, of a trajectory; killed and started again."""

import json
import re
import shutil
import signal

import pytest
import torch

from forked import exit_code, start
from sharpmin.cli import run
from sharpmin.ends import end
from sharpmin.landscape import frame_through
from sharpmin.subjects import Evaluation, of_task

QUICK = ["--threads", "1", "--quiet"]
SMALL = ["--points", "3", "2", *QUICK]
BATCH = ["--batch-norm", "batch"]


@pytest.fixture
def three(task):
    """A task with a third checkpoint, off the line between the other two."""
    a, b = (torch.load(f"{name}.pt", weights_only=True) for name in ("a", "b"))
    generator = torch.Generator().manual_seed(5)
    state = {k: v + torch.randn(v.shape, generator=generator) if v.is_floating_point() else v for k, v in a.items()}
    torch.save({**state, "0.bias": b["0.bias"]}, "c.pt")
    a["0.bias"] = b["0.bias"]
    torch.save(a, "a.pt")
    return task


def numbers(folder, name, kind="plane"):
    figures = folder / "Figures"
    assert all((figures / f"{name}.{suffix}").stat().st_size > 1000 for suffix in ("pdf", "png"))
    return json.loads((figures / f"{name}.json").read_text())[kind]


def test_one_checkpoint_gives_a_random_plane_around_it(task, tmp_path, capsys):
    assert run(["plane", task, "a.pt", *BATCH, "--seed", "3", *SMALL]) == 0
    shown = capsys.readouterr()
    assert "lowest loss" in shown.out
    assert "Plot saved as Figures/a-plane.pdf" in shown.out
    assert not shown.err
    found = numbers(tmp_path, "a-plane")
    assert (found["kind"], found["seed"], found["normalisation"], found["batch_norm"]) == (
        "random",
        3,
        "filter",
        "batch",
    )
    assert (found["alphas"], found["betas"]) == ([-1, 0, 1], [-1, 1])
    assert [len(row) for row in found["losses"]] == [3, 3]


def test_three_checkpoints_give_the_plane_through_them(three, tmp_path, recwarn):
    assert run(["plane", three, "a.pt", "b.pt", "c.pt", *BATCH, *SMALL]) == 0
    found = numbers(tmp_path, "a-b-c-plane")
    assert (found["kind"], [mark["name"] for mark in found["marks"]]) == ("checkpoints", ["a", "b", "c"])
    assert not recwarn.list


def test_running_statistics_are_each_checkpoints_own_at_its_place(three, tmp_path, capsys):
    subject = of_task(three, ["a.pt", "b.pt", "c.pt"], Evaluation(batch_norm="running"), runs=tmp_path)
    _, b, _ = frame_through([end(subject, name).theta for name in "abc"]).marks
    place = [str(b.alpha), str(b.alpha + 1), "0", "1"]
    command = ["plane", three, "a.pt", "b.pt", "c.pt", "--batch-norm", "running", "--points", "2", "--range", *place]
    assert run([*command, *QUICK]) == 0
    at_b = subject.at("b")
    assert numbers(tmp_path, "a-b-c-plane")["losses"][0][0] == pytest.approx(at_b.value(at_b.theta), rel=1e-4)


def test_a_trajectory(three, tmp_path, capsys):
    assert run(["plane", three, "c.pt", "b.pt", "a.pt", "--trajectory", *BATCH, *SMALL]) == 0
    found = numbers(tmp_path, "c-to-a-trajectory")
    assert (found["kind"], [mark["name"] for mark in found["marks"]]) == ("trajectory", ["c", "b", "a"])
    assert sum(found["explained"]) == pytest.approx(1, abs=1e-6)
    assert "holds 100.0% of the trajectory's" in capsys.readouterr().out


def test_random_lines(task, tmp_path, capsys):
    assert run(["plane", task, "a.pt", "--lines", "2", "--range", "-0.5", "1.5", *BATCH, *SMALL]) == 0
    found = numbers(tmp_path, "a-lines", "lines")
    assert found["alphas"] == [-0.5, 0.5, 1.5]
    assert [len(row) for row in found["losses"]] == [3, 3]
    assert "line" in capsys.readouterr().out


def test_a_run_folder_around_one_of_its_points_on_the_test_data(finished_run, tmp_path, capsys):
    where = ["--data", "synthetic", "--out", str(tmp_path)]
    assert run(["plane", str(finished_run), "--at", "LB", "--on", "test", *where, *SMALL]) == 0
    found = numbers(tmp_path, f"{finished_run.name}-LB-plane-test")
    assert (found["batch_norm"], found["marks"][0]["name"]) == ("batch", "LB")
    assert found["examples"] != 60


@pytest.mark.parametrize("extent", [["auto", "--factor", "3"], ["0.25"], ["-1", "2", "-0.5", "0"]])
def test_ranges(task, tmp_path, capsys, extent):
    assert run(["plane", task, "a.pt", "--range", *extent, *BATCH, *SMALL]) == 0
    found = numbers(tmp_path, "a-plane")
    ends = [found["alphas"][0], found["alphas"][-1], found["betas"][0], found["betas"][-1]]
    if extent[0] == "auto":
        assert (found["factor"], ends[0], ends[2]) == (3, -ends[1], -ends[3])
        assert "as far as the loss grows to 3 times" in capsys.readouterr().out
    else:
        assert ends == ([-0.25, 0.25] * 2 if len(extent) == 1 else [float(text) for text in extent])
        assert found["factor"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.pt", "b.pt"], "a plane goes around one point, through three.*--at, among a, b"),
        (["a.pt", "b.pt", "--at", "c"], "there is no point 'c': choose one with --at, among a, b"),
        (["a.pt", "b.pt", "--trajectory", "--at", "a"], "give it without --at"),
        (["a.pt", "b.pt", "--trajectory"], "takes 3 or more points here, not 2"),
        (["a.pt", "b.pt", "--lines", "3"], "lines go through one point"),
        (["a.pt", "--lines", "0"], "0 draws"),
        (["a.pt", "--points", "3", "2", "1"], "--points takes one number, or two"),
        (["a.pt", "--points", "1"], "1 points do not make an axis"),
        (["a.pt", "--range", "wide"], "--range takes auto, one number, or 4"),
        (["a.pt", "--range", "1", "0", "0", "1"], "a range from 1 to 0 is empty"),
        (["a.pt", "--lines", "2", "--range", "0", "1", "2"], "--range takes auto, one number, or 2"),
        (["a.pt", "--on", "test"], "there are no test data"),
        (["a.pt", "--range", "auto", "--factor", "0.5"], "a factor of 0.5 does not grow"),
    ],
)
def test_what_makes_no_plane_is_refused_in_a_line(task, capsys, arguments, said, recwarn):
    assert run(["plane", task, *arguments, *BATCH, *QUICK]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(said, line)


def test_no_policy_is_a_warning_that_names_them(task, recwarn):
    assert run(["plane", task, "a.pt", *SMALL]) == 0
    assert any("no policy was chosen" in str(warning.message) for warning in recwarn)


def test_a_difference_outside_theta_is_a_warning(three, recwarn):
    other = torch.load("b.pt", weights_only=True)
    torch.save({**other, "0.bias": other["0.bias"] + 1}, "b.pt")
    assert run(["plane", three, "a.pt", "b.pt", "c.pt", *BATCH, *SMALL]) == 0
    assert any("differ outside theta" in str(warning.message) for warning in recwarn)


def points(folder):
    (file,) = folder.glob("runs/*/plane-*.jsonl")
    return file


def test_a_finished_plane_is_only_drawn_and_other_data_are_measured_anew(task, tmp_path, capsys):
    command = ["plane", task, "a.pt", *BATCH, *SMALL]
    assert run(command) == 0
    first, stamp = points(tmp_path).read_bytes(), points(tmp_path).stat().st_mtime_ns
    assert run(command) == 0
    assert points(tmp_path).stat().st_mtime_ns == stamp
    assert points(tmp_path).read_bytes() == first
    source = (tmp_path / "mytask.py").read_text()
    (tmp_path / "mytask.py").write_text(source.replace("examples(20, 4", "examples(20, 4, seed=1"))
    assert run(command) == 0
    assert points(tmp_path).read_bytes() != first


KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from sharpmin.cli import main

countdown, replace = 3, Path.replace

def killed_before(self, target):
    global countdown
    countdown -= Path(target).name.startswith("plane-")
    if not countdown:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = killed_before
main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_killed_and_started_again_the_bytes_are_those_of_an_uninterrupted_plane(finished_run, tmp_path, capsys):
    for name in ("killed", "whole"):
        shutil.copytree(finished_run, tmp_path / name / "runs" / finished_run.name)
        for left in (tmp_path / name).glob("runs/*/plane-*"):
            left.unlink()

    def command(name):
        where = tmp_path / name
        asked = ["--at", "SB", "--data", "synthetic", "--points", "7", "4", "--range", "auto", "--factor", "2"]
        return ["plane", str(where / "runs" / finished_run.name), *asked, "--out", str(where), *QUICK]

    assert exit_code(start(KILLS_ITSELF, *command("killed"))) == -signal.SIGKILL
    assert len(points(tmp_path / "killed").read_text().splitlines()) == 1 + 16  # the grid, and two groups
    assert not (tmp_path / "killed" / "Figures").exists()
    for name in ("killed", "whole"):
        assert run(command(name)) == 0
    left, right = (points(tmp_path / name).read_bytes() for name in ("killed", "whole"))
    assert left == right
    assert left.count(b"\n") == 1 + 28
    for suffix in ("json", "png", "pdf"):
        drawn = f"{finished_run.name}-SB-plane.{suffix}"
        one, other = ((tmp_path / name / "Figures" / drawn).read_bytes() for name in ("killed", "whole"))
        assert one == other
