"""The answer, on stories whose answer is known."""

import json

import pytest

from report.made import SHARP, append, lines, point, run_folder, runs, sharpness
from sharpmin.report import gather
from sharpmin.report.evidence import measures, over_trials, voting
from sharpmin.report.verdict import NOTHING, verdict


def test_sharper_and_worse(tmp_path):
    found = verdict(gather(runs(tmp_path)))
    assert found.headline == (
        "The large-batch minimizer is sharper than the small-batch minimizer, and it generalises worse."
    )
    assert (found.flat, found.sharp) == ("SB", "LB")
    assert "LB is sharper than SB by 1 of 1 measures (Metric 2.1 (ε 0.001) 100 times)" in found.details[0]
    assert "LB has the larger value in 4 of 4 trials by Metric 2.1 (ε 0.001), 96.67 to 105 times." in found.details
    assert "Test accuracy: SB 98.53 ± 0.03%, LB 97.53 ± 0.03% (4 trials)." in found.details


def test_turned_round(tmp_path):
    turned = {"SB": SHARP["LB"], "LB": SHARP["SB"]}
    assert verdict(gather(runs(tmp_path, sharp=turned))).headline == (
        "The small-batch minimizer is sharper than the large-batch minimizer, yet it generalises better."
    )


def test_means_within_two_standard_errors_are_not_told_apart(tmp_path):
    spread_out = {"SB": (1.0, 9.0, 2.0, 8.0), "LB": (2.0, 12.0, 1.0, 9.0)}
    assert verdict(gather(runs(tmp_path, sharp=spread_out))).headline.startswith("Nothing measured here tells")


def with_lambda_max(folder, flat, sharp):
    """A row of `sharpmin spectrum` for either minimizer."""
    for name, value in (("SB", flat), ("LB", sharp)):
        row = {"minimizer": name, "matrix": "hessian", "eigenvalues": [value], "residuals": [0.0], "converged": [True]}
        append(folder / "spectrum.jsonl", row)


def test_measures_that_disagree(tmp_path):
    folders = runs(tmp_path)
    for folder in folders:
        with_lambda_max(folder, 5.0, 1.0)
    assert verdict(gather(folders)).headline == (
        "The measures disagree on whether the large-batch minimizer or the small-batch minimizer is the sharper."
    )


def test_metric_2_1_has_one_vote_by_whatever_settings_it_was_taken(tmp_path):
    folders = runs(tmp_path)
    for folder in folders:
        with_lambda_max(folder, 1.0, 2.0)
        for name, value in (("SB", 5.0), ("LB", 1.0)):
            row = sharpness(name, value, seed=-1)
            append(folder / "sharpness.jsonl", {**row, "asked": {**row["asked"], "iterations": 1, "only": ["16.*"]}})
            append(folder / "sharpness.jsonl", sharpness(name, 6 - value, epsilon=5e-4))
    found = verdict(gather(folders))
    assert found.headline == (
        "The large-batch minimizer is sharper than the small-batch minimizer by every measure taken, though not by "
        "every setting, and it generalises worse."
    )
    assert (
        "LB is sharper than SB by 2 of 2 measures (Metric 2.1 (ε 0.001) 100 times, lambda-max 2 times)"
        in (found.details[0])
    )
    assert found.details[1].endswith(
        "By other settings LB is so many times as sharp: Metric 2.1 (ε 0.001, 1 iteration, only 16.*) 0.2, "
        "Metric 2.1 (ε 0.0005) 5."
    )


def test_where_nothing_is_as_in_the_paper_most_iterations_of_all_weights_vote(tmp_path):
    folder = run_folder(tmp_path, sharp=None)
    for how in ({"iterations": 3}, {"iterations": 30}, {"iterations": 60, "only": ["0.*"]}):
        for name in ("SB", "LB"):
            append(folder / "sharpness.jsonl", {**sharpness(name, 1.0), "asked": how})
    story = gather([folder])
    assert [one.name for one in voting(story, measures(story))] == ["Metric 2.1 (ε 0.001, 30 iterations)"]


def test_a_single_trial_is_judged_by_the_test_set_s_own_uncertainty(tmp_path):
    folder = run_folder(tmp_path)  # 98.5% and 97.5% of 10 000: 1 point, twice 0.2
    assert verdict(gather([folder])).headline.endswith("it generalises worse.")
    near = [point(alpha, test_accuracy=0.98 - 0.001 * alpha) for alpha in (0.0, 1.0)]
    lines(folder / "line-4-5000.jsonl", near)
    assert verdict(gather([folder])).headline.endswith("no difference in test accuracy is seen.")


def test_nothing_measured(tmp_path):
    assert verdict(gather([run_folder(tmp_path, sharp=None)])).headline == NOTHING


def test_nan_takes_no_side(tmp_path):
    folders = runs(tmp_path, sharp={"SB": (1.0,) * 4, "LB": (2.0, 2.0, 2.0, float("nan"))})
    assert verdict(gather(folders)).headline.startswith("Nothing measured here tells")


def test_what_compare_said_is_passed_on(tmp_path):
    folder = run_folder(tmp_path)
    reading = {"measure": "adaptive", "error": None, "caveat": None, "batch_norm": "batch"}
    readings = [{**reading, "minimizer": name, "value": value} for name, value in (("SB", 1.0), ("LB", 3.0))]
    readings += [{**r, "measure": "metric-2.1", "value": 1.0, "batch_size": 5000} for r in readings]
    compared = {"verdict": "LB is sharper.", "caveats": ["careful"], "points": [], "readings": readings}
    (folder / "compare.json").write_text(json.dumps(compared))
    story = gather([folder])
    assert [one.name for one in measures(story)] == ["Metric 2.1 (ε 0.001)", "adaptive"]
    assert measures(story)[0].over("LB").values == (100.0,)  # that of sharpmin sharpness: each measure votes once
    assert "sharpmin compare, seed 0: LB is sharper." in verdict(story).details


def test_policies_are_not_averaged_together(tmp_path):
    folders = runs(tmp_path, 2)
    for name in ("SB", "LB"):
        append(folders[1] / "sharpness.jsonl", sharpness(name, 7.0, batch_norm="running"))
    names = [one.name for one in measures(gather(folders))]
    assert names == ["Metric 2.1 (ε 0.001), batch norm batch", "Metric 2.1 (ε 0.001), batch norm running"]


def test_the_later_of_two_rows_counts(tmp_path):
    folder = run_folder(tmp_path)
    append(folder / "sharpness.jsonl", sharpness("SB", 5.0))
    assert measures(gather([folder]))[0].over("SB").values == (5.0,)


def test_the_gap_is_taken_in_each_trial(tmp_path):
    gaps = over_trials(gather(runs(tmp_path, 2)), "LB", "gap").values
    assert gaps == pytest.approx((0.024, 0.0238))
