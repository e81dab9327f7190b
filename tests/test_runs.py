"""Run folders: what is read is what was written, and everything else has a sentence."""

import os

import pytest
import torch

from cases import random, same_bits
from forked import exit_code, start
from sharpmin.disk import read_json, write_json
from sharpmin.distributed.group import Group
from sharpmin.errors import RunError
from sharpmin.history import Epoch, State
from sharpmin.runs import Run, open_run

WEIGHTS = {"0.weight": random(3, 2, dtype=torch.float32), "0.bias": torch.tensor([torch.nan, -0.0])}
STATE = State(
    WEIGHTS,
    {"0.weight.exp_avg": random(3, 2, seed=1, dtype=torch.float32), "0.weight.step": torch.tensor(4.0)},
    (Epoch(1, 0.1, 0.5, None, None, 1.5), Epoch(2, float("nan"), 0.6, 0.3, 1 / 3, 1.25)),
)
SETTINGS = {"format": 1, "rate": 1e-3, "shape": [3, 32, 32], "size": None}


def bits(tensors):
    return {name: t.contiguous().view(torch.int32) for name, t in tensors.items()}


@pytest.mark.parametrize("finished", [False, True])
def test_a_state_comes_back_bit_for_bit(tmp_path, finished):
    Run(tmp_path).save_state("small", STATE, finished=finished)
    found = Run(tmp_path).load_state("small")
    assert same_bits(bits(found.weights), bits(WEIGHTS))
    assert same_bits(bits(found.moments), {} if finished else bits(STATE.moments))
    assert repr(found.history) == repr(STATE.history)  # NaN included


def test_the_solution_replaces_the_checkpoint(tmp_path):
    run = Run(tmp_path)
    run.save_state("small", STATE, finished=False)
    run.save_state("small", STATE, finished=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.history.jsonl", "small.safetensors"]


@pytest.mark.parametrize(
    ("rank", "left"), [(0, ["solution.safetensors"]), (1, ["replay.history.jsonl", "solution.safetensors"])]
)
def test_rank_0_drops_the_files_of_a_name(tmp_path, monkeypatch, rank, left):
    for name in ("replay.history.jsonl", "solution.safetensors"):
        (tmp_path / name).touch()
    monkeypatch.setattr("sharpmin.disk.world", lambda: Group(rank, 2))
    monkeypatch.setattr(Group, "wait", lambda self: None)
    Run(tmp_path).drop("replay")
    Run(tmp_path).drop("nothing")
    assert sorted(p.name for p in tmp_path.iterdir()) == left


def test_nothing_trained_yet_is_no_state(tmp_path):
    assert Run(tmp_path).load_state("small") is None
    assert Run(tmp_path).read_lines("line.jsonl") == []


def test_lines_come_back(tmp_path):
    rows = [{"alpha": 0.1}, {"alpha": float("inf")}]
    Run(tmp_path).write_lines("line.jsonl", rows)
    assert Run(tmp_path).read_lines("line.jsonl") == rows


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_rows_that_two_processes_add_at_once_are_all_there(tmp_path):
    program = (
        "import sys; from pathlib import Path; from sharpmin.runs import Run\n"
        "for n in range(100): Run(Path(sys.argv[1])).add_line('line.jsonl', {'by': sys.argv[2], 'n': n})"
    )
    folder = open_run(tmp_path, "C1", SETTINGS).folder
    assert exit_code(*(start(program, folder, by) for by in "ab")) == 0
    rows = Run(folder).read_lines("line.jsonl")
    assert [row["n"] for row in rows if row["by"] == "a"] == [row["n"] for row in rows if row["by"] == "b"]
    assert len(rows) == 200


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_a_truncated_or_corrupted_tensor_file_is_named(tmp_path, spoil):
    run = Run(tmp_path)
    run.save_state("small", STATE, finished=True)
    file = tmp_path / "small.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(RunError, match=f"cannot read {file}"):
        run.load_state("small")


def test_a_tensor_file_of_somebody_elses_is_named(tmp_path):
    Run(tmp_path).save("small", WEIGHTS)
    with pytest.raises(RunError, match=f"cannot read {tmp_path}/small.safetensors"):
        Run(tmp_path).load_state("small")


@pytest.mark.parametrize("content", [b'{"alpha": 1}\n{"alp', b"\xff\xfe"])
def test_lines_that_are_no_json_are_named(tmp_path, content):
    (tmp_path / "line.jsonl").write_bytes(content)
    with pytest.raises(RunError, match=f"cannot read {tmp_path}/line.jsonl"):
        Run(tmp_path).read_lines("line.jsonl")


def test_the_same_settings_open_the_same_folder_and_others_another(tmp_path):
    first = open_run(tmp_path, "C1", SETTINGS)
    assert open_run(tmp_path, "C1", dict(reversed(SETTINGS.items()))) == first
    assert open_run(tmp_path, "C1", {**SETTINGS, "rate": 2e-3}) != first
    assert first.folder.name.startswith("C1-")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    folder = open_run(tmp_path, "C1", SETTINGS).folder
    (folder / "settings.json").rename(folder / "holiday.txt")
    with pytest.raises(RunError, match=f"{folder} holds files but no settings.json"):
        open_run(tmp_path, "C1", SETTINGS)
    assert [p.name for p in folder.iterdir()] == ["holiday.txt"]


def test_a_folder_begun_and_killed_before_its_settings_is_taken_up(tmp_path):
    folder = open_run(tmp_path, "C1", SETTINGS).folder
    (folder / "settings.json").rename(folder / ".123.settings.json")
    assert open_run(tmp_path, "C1", SETTINGS).folder == folder


def test_changed_settings_are_refused(tmp_path):
    file = open_run(tmp_path, "C1", SETTINGS).folder / "settings.json"
    write_json(file, {**SETTINGS, "rate": 1})
    with pytest.raises(RunError, match=f"{file} was changed since its run began"):
        open_run(tmp_path, "C1", SETTINGS)


def test_unreadable_settings_are_named(tmp_path):
    file = open_run(tmp_path, "C1", SETTINGS).folder / "settings.json"
    file.write_text('{"format":')
    with pytest.raises(RunError, match=f"cannot read {file}"):
        open_run(tmp_path, "C1", SETTINGS)


def test_a_place_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(RunError, match=f"cannot write {tmp_path}/runs/C1-.*write to another folder"):
        open_run(tmp_path / "runs", "C1", SETTINGS)


def test_a_file_that_is_not_there_is_no_file_to_restore(tmp_path):
    for read in (lambda: read_json(tmp_path / "no.json"), lambda: Run(tmp_path).load("no")):
        with pytest.raises(RunError, match=r"cannot read .*no\..*: there is no such file$"):
            read()


def test_each_environment_is_noted_once(tmp_path):
    run = Run(tmp_path)
    notes = [run.note_environment({"threads": n}) for n in (2, 2, 1, 1)]
    assert notes == [{"threads": 2}] * 4  # the one it began in
    assert (tmp_path / "environment.json").read_text().count("threads") == 2


def test_what_a_killed_process_left_half_written_is_swept_once_it_is_old(tmp_path):
    folder = open_run(tmp_path, "F1", {"seed": 0}).folder
    old, fresh = folder / ".123.x0.safetensors", folder / ".124.x0.safetensors"
    for leftover in (old, fresh):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    open_run(tmp_path, "F1", {"seed": 0})
    assert not old.exists()
    assert fresh.exists()
