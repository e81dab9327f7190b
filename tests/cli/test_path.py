"""`sharpmin path` between two checkpoints of one's own."""

import json
import shutil

import pytest

from sharpmin.cli import run

QUICK = ["--threads", "1", "--quiet"]


def test_figure_and_numbers(task, tmp_path, capsys, recwarn):
    assert run(["path", task, "a.pt", "b.pt", "--batch-norm", "recalibrate", "--points", "7", *QUICK]) == 0
    shown = capsys.readouterr()
    assert "highest between them" in shown.out
    assert not shown.err
    numbers = json.loads((tmp_path / "Figures" / "a-to-b.json").read_text())
    assert (numbers["ends"], numbers["train"]["batch_norm"]) == (["a", "b"], "recalibrate")
    assert len(numbers["train"]["losses"]) == 7
    assert all((tmp_path / "Figures" / f"a-to-b.{suffix}").stat().st_size > 1000 for suffix in ("pdf", "png"))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (["--points", "5"], "alpha 0 (a) and alpha 1 (b) are not among the 5 points: --points 4, 7, 10 and so on"),
        (["--alpha", "0", "0.5", "0.9"], "alpha 1 (b) is not among the 3 points: "),
        (["--points", "4"], None),
        (["--alpha", "0", "1"], None),
    ],
)
def test_an_end_that_is_not_among_the_points_is_named(task, capsys, recwarn, points, said):
    assert run(["path", task, "a.pt", "b.pt", "--batch-norm", "running", *points, *QUICK]) == 0
    shown = capsys.readouterr().out
    assert ("not among the" in shown) is (said is not None)
    assert said is None or said in shown


def test_an_earlier_figure_of_other_numbers_is_kept(task, tmp_path, capsys, recwarn):
    command = ["path", task, "a.pt", "b.pt", "--batch-norm", "running", "--points", "4", *QUICK]
    assert [run(command) for _ in range(2)] == [0, 0]
    assert "it is kept" not in capsys.readouterr().out
    line = {suffix: (tmp_path / "Figures" / f"a-to-b.{suffix}").read_bytes() for suffix in ("json", "png")}
    assert run([*command, "--kind", "arc"]) == 0
    assert "There was a figure with other numbers by this name: it is kept as Figures/a-to-b-1.json" in (
        capsys.readouterr().out
    )
    assert line == {suffix: (tmp_path / "Figures" / f"a-to-b-1.{suffix}").read_bytes() for suffix in line}
    assert json.loads((tmp_path / "Figures" / "a-to-b.json").read_text())["train"]["kind"] == "arc"
    for kind in ("line", "arc", "line"):
        assert run([*command, "--kind", kind]) == 0
    assert sorted(file.name for file in tmp_path.glob("Figures/*.json")) == [
        "a-to-b-1.json",
        "a-to-b-2.json",
        "a-to-b.json",
    ]


@pytest.mark.parametrize("command", [["path"], ["plane"], ["connect"], ["spectrum", "--density"]], ids=" ".join)
def test_where_the_figure_cannot_go_nothing_is_computed(task, tmp_path, capsys, recwarn, command):
    (tmp_path / "Figures").write_text("a file")
    verb, *options = command
    points = ["a.pt"] if verb == "plane" else ["a.pt", "b.pt"]
    assert run([verb, task, *points, *options, "--batch-norm", "running", *QUICK]) == 1
    assert "Figures is a file, not a folder, so nothing was computed" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/*.jsonl")) + list(tmp_path.glob("runs/*/*.safetensors"))


def test_checkpoints_of_one_name_in_other_folders_are_another_figure(task, tmp_path, recwarn):
    for folder, names in (("x", "ab"), ("y", "ba")):
        (tmp_path / folder).mkdir()
        for name, new in zip(names, ("one", "two"), strict=True):
            shutil.copy(f"{name}.pt", f"{folder}/{new}.pt")
        ends = [f"{folder}/one.pt", f"{folder}/two.pt"]
        assert run(["path", task, *ends, "--batch-norm", "running", "--points", "4", *QUICK]) == 0
    assert {file.name for file in tmp_path.glob("Figures/*.json")} == {"one-to-two.json", "one-to-two-1.json"}


def test_what_is_behind_a_dot_is_in_the_figure_s_name(task, tmp_path, recwarn):
    for old, new in (("a", "epoch.1"), ("b", "epoch.2")):
        shutil.copy(f"{old}.pt", f"{new}.pt")
    ends = ["epoch.1.pt", "epoch.2.pt"]
    assert run(["path", task, *ends, "--batch-norm", "running", "--points", "4", *QUICK]) == 0
    assert (tmp_path / "Figures" / "epoch-1-to-epoch-2.json").exists()


def test_no_policy_is_a_warning_that_names_them(task, recwarn):
    assert run(["path", task, "a.pt", "b.pt", "--alpha", "0", "1", *QUICK]) == 0
    assert any("no policy was chosen" in str(warning.message) for warning in recwarn)


def test_a_difference_outside_theta_is_a_warning(task, recwarn):
    assert run(["path", task, "a.pt", "b.pt", "--alpha", "0", "--batch-norm", "batch", *QUICK]) == 0
    assert any("differ outside theta" in str(warning.message) for warning in recwarn)


@pytest.mark.parametrize(("checkpoints", "got"), [([], "weights"), (["a.pt"], "a")])
def test_one_checkpoint_makes_no_path(checkpoints, got, task, capsys):
    assert run(["path", task, *checkpoints, *QUICK]) == 2
    assert f"this takes two ends and got {got}: give two checkpoints" in capsys.readouterr().err


def test_a_run_folder_has_two_ends_and_test_data(finished_run, tmp_path, capsys):
    options = ["--data", "synthetic", "--alpha", "0", "1", "--out", str(tmp_path)]
    assert run(["path", str(finished_run), *options, *QUICK]) == 0
    assert "loss on the test data: SB" in capsys.readouterr().out
    assert (tmp_path / "Figures" / f"{finished_run.name}-SB-to-LB.json").exists()  # another run's is another file


def test_a_folder_that_is_no_run_is_called_so(tmp_path, capsys):
    assert run(["path", str(tmp_path), "a.pt", "b.pt", "--quiet"]) == 1
    assert f"{tmp_path} is not a run folder (no settings.json)" in capsys.readouterr().err
