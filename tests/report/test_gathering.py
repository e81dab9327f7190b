"""What is read from disk, and what is refused."""

import json

import pytest

from report.made import append, lines, point, run_folder, runs, settings, sharpness
from sharpmin.errors import RunError, UsageError
from sharpmin.report import gather
from sharpmin.trials import without_seeds


def test_a_run_folder_is_read_whole(tmp_path):
    story = gather([run_folder(tmp_path)])
    (trial,) = story.trials
    assert (trial.name, trial.points, trial.unfinished) == ("seed 0", ("SB", "LB"), ())
    assert [len(rows) for rows in trial.histories.values()] == [30, 30]
    assert (trial.line().kind, trial.line().planned, trial.line().batch_size) == ("line", 4, 5000)
    assert trial.line().at(1.0)["train_loss"] == 0.01
    assert [row["value"] for row in trial.sharpness] == [1.0, 100.0]
    assert (story.subject, story.batch("LB")) == ("F1 on MNIST", 6000)


def test_a_finer_line_without_the_minimizers_is_not_the_one_read(tmp_path):
    folder = run_folder(tmp_path)
    lines(folder / "line-9-5000.jsonl", [{**point(2.0), "alpha": alpha / 10} for alpha in (1, 2, 3, 4, 5)])
    assert gather([folder]).trials[0].line().planned == 4


def test_trials_come_in_the_order_of_their_seeds(tmp_path):
    assert [trial.name for trial in gather(runs(tmp_path, 3)[::-1]).trials] == ["seed 0", "seed 1", "seed 2"]


@pytest.mark.parametrize("size", ["train_size", "test_size"])
def test_a_seed_that_draws_its_own_subset_is_no_difference(size):
    one, other = (settings(seed, **{size: 500}) for seed in (0, 1))
    other["data"]["sha1"] = "other"
    assert without_seeds(one) == without_seeds(other)
    one[size] = other[size] = None
    assert without_seeds(one) != without_seeds(other)


def test_runs_that_differ_in_more_than_the_seed_are_refused(tmp_path):
    one = run_folder(tmp_path)
    other = run_folder(tmp_path, 1, network="F2")
    with pytest.raises(UsageError, match=r"differ in more than the seed \(network: F1 and F2\)"):
        gather([one, other])


def test_one_folder_twice(tmp_path):
    with pytest.raises(UsageError, match="named twice"):
        gather([run_folder(tmp_path)] * 2)


def test_nothing():
    with pytest.raises(UsageError, match="give run folders"):
        gather([])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("settings.json", "{", "cannot read"),
        ("settings.json", "{}", "cannot read"),
        ("settings.json", "[]", "cannot read"),
        ("environment.json", "[", "cannot read"),
        ("sharpness.jsonl", '{"minimizer": "SB"}\n', "line 1 has no value"),
        ("sharpness.jsonl", "nonsense", "cannot read"),
        ("sharpness.jsonl", "3\n", "cannot read"),
        ("line-4-5000.jsonl", '{"alpha": 0.0}\n', "has no train_loss"),
        ("compare.json", '{"verdict": ""}', "cannot read"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, says):
    folder = run_folder(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(RunError, match=says) as error:
        gather([folder])
    assert str(folder / name) in str(error.value)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        gather([tmp_path])


@pytest.mark.parametrize("content", ["{}", "[1]", '{"plane": 3, "task": "x"}', "nonsense"])
def test_a_file_that_is_no_result(tmp_path, content):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(RunError, match=r"other\.json"):
        gather([file])
    with pytest.raises(RunError, match=r"missing\.json"):
        gather([tmp_path / "missing.json"])


def test_an_unfinished_training_is_read_and_known_to_be(tmp_path):
    folder = run_folder(tmp_path)
    (folder / "large_batch.safetensors").unlink()
    assert gather([folder]).trials[0].unfinished == ("LB",)


def test_other_files_in_a_run_folder_are_left_alone(tmp_path):
    folder = run_folder(tmp_path)
    (folder / "notes.json").write_text(json.dumps({"mine": 1}))
    (folder / "align.jsonl").write_text("{}\n")
    assert gather([folder]).planes == ()


def test_the_machine_of_every_row_is_kept_once(tmp_path):
    folder = run_folder(tmp_path)
    append(folder / "sharpness.jsonl", sharpness("SB", 1.0, environment={"torch": "2.14"}))
    assert [known["torch"] for known in gather([folder]).trials[0].environments] == ["2.13.0+cpu", "2.14"]
