"""Every doubt is raised where it is due, and none on sound runs."""

import json

import pytest

from report.made import ENVIRONMENT, append, history, lines, point, run_folder, runs, settings, sharpness
from sharpmin.report import gather
from sharpmin.report.doubts import doubts

BATCH_NORM = "BatchNorm, where there is any"


def raised(folders):
    return [doubt for doubt in doubts(gather(folders)) if not doubt.startswith(BATCH_NORM)]


def test_sound_runs_raise_none_but_the_policy_of_batch_norm(tmp_path):
    found = doubts(gather(runs(tmp_path)))
    assert len(found) == 1
    assert "(5000 examples;" in found[0]


@pytest.mark.parametrize(("count", "says"), [(1, "One trial only"), (2, "Two trials only")])
def test_too_few_seeds(tmp_path, count, says):
    assert raised(runs(tmp_path, count))[0].startswith(says)


def broken(folder, what):
    """Give a sound run folder one fault."""
    if what == "synthetic":
        data = {**settings()["data"], "synthetic": True}
        (folder / "settings.json").write_text(json.dumps(settings(data=data)))
    if what == "nan on the line":
        rows = [point(alpha) for alpha in (-1.0, 0.0, 1.0, 2.0)]
        lines(folder / "line-4-5000.jsonl", [*rows[:3], {**rows[3], "train_loss": float("nan")}])
    if what == "infinite sharpness":
        append(folder / "sharpness.jsonl", sharpness("SB", float("inf")))
    if what == "unfinished":
        (folder / "large_batch.safetensors").unlink()
    if what == "half a line":
        lines(folder / "line-4-5000.jsonl", [point(0.0)])
    if what == "not converged":
        lines(folder / "small_batch.history.jsonl", history(settled=False))
    if what == "slope":
        append(folder / "sharpness.jsonl", sharpness("LB", 100.0, first_order=0.9))
    if what == "climbing":
        append(folder / "sharpness.jsonl", sharpness("LB", 100.0, climb=[0.1, 0.2, 0.5]))
    if what == "eigenvalue":
        row = {"minimizer": "SB", "eigenvalues": [2.0, 1.0], "residuals": [0.1, 0.1], "converged": [True, False]}
        append(folder / "spectrum.jsonl", row)
    if what == "noise":
        row = {"minimizer": "SB", "value": 9.0, "standard_error": 9.0, "lower_bound": 1.0, "status": "uncertain"}
        append(folder / "noise-scale.jsonl", row)
    if what == "losses":
        lines(folder / "line-4-5000.jsonl", [{**point(a), "train_loss": 0.1 + a} for a in (-1.0, 0.0, 1.0, 2.0)])
    if what == "subset":
        (folder / "settings.json").write_text(json.dumps(settings(train_size=500, test_size=90)))
    if what == "batches":
        small = {**settings()["small_batch"], "batch_size": 6000}
        (folder / "settings.json").write_text(json.dumps(settings(small_batch=small)))
    if what == "policies":
        append(folder / "sharpness.jsonl", sharpness("SB", 1.0, batch_norm="running"))
    if what == "machines":
        (folder / "environment.json").write_text(json.dumps([ENVIRONMENT, {**ENVIRONMENT, "torch": "2.14"}]))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("synthetic", "The data are synthetic"),
        ("nan on the line", "NaN or infinity in 1 of 4 rows of the line"),
        ("infinite sharpness", "NaN or infinity in 1 of 3 rows of sharpness"),
        ("unfinished", "the training of LB is not finished"),
        ("half a line", "1 of 4 points of the line are evaluated"),
        ("not converged", "seed 0: the training loss of SB was still coming down"),
        ("slope", "In 1 of 2 searches for the sharpness of LB, 89% of the rise is slope"),
        ("climbing", "In 1 of 2 searches for the sharpness of LB the loss was still climbing"),
        ("eigenvalue", "did not converge; each lies within its residual (seed 0, SB: 1 of 2)"),
        ("noise", "seed 0, SB, noise scale: uncertain"),
        ("losses", "The training losses differ (SB 0.1, LB 1.1)"),
        ("subset", "Trained on a subset of 500 examples"),
        ("subset", "Tested on a subset of 90 examples"),
        ("batches", "The large batch of 6000 is not larger than the small batch of 6000"),
        ("policies", "Results under several BatchNorm policies (batch, running)"),
        ("machines", "Computed on 2 different machines or versions"),
    ],
)
def test_a_fault_is_told(tmp_path, what, says):
    sound = run_folder(tmp_path / "sound")
    faulty = run_folder(tmp_path / "faulty")
    broken(faulty, what)
    assert any(says in doubt for doubt in raised([faulty]))
    assert not any(says in doubt for doubt in raised([sound]))
