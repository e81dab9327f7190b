"""Figures 4, 5 and 6 in small: their numbers beside evaluations of their own, and what they are drawn from."""

import inspect
import json
import shutil
from dataclasses import asdict, fields, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from cases import same_bits, toy
from conftest import InProcess
from sharpmin import Objective, data, runtime, zoo
from sharpmin.cli import figures as verbs
from sharpmin.cli import run
from sharpmin.cli.figures import drawn
from sharpmin.cli.reproducing import Reproduction
from sharpmin.disk import write_json
from sharpmin.measures import sharpness
from sharpmin.paper import batch_sizes, figures, inputs, parametric, sharpness_along, warm_start
from sharpmin.runs import Run
from sharpmin.sweep import plan
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

SPLIT = toy()
PART = data.subset(SPLIT.train, 40, seed=0, classes=3)
COMMON = "-n F1 --data synthetic --budget images=40,epochs=2,trials=1 --threads 1 --quiet"
BATCHES = "--small-batch 8 --large-batch 20"
VERBS = {
    "batch-sizes": f"{COMMON.replace('trials=1', 'trials=2')} --sizes 8 20",
    "warm-start": f"{COMMON} {BATCHES}",
    "sharpness-along": f"{COMMON} {BATCHES} --first 0",
}
SCALED = "scaled down: 40 of 50 images, 2 of {} epochs, {} of 5 trials"
VERB = import_module("sharpmin.cli.sweep")
RECORDS = Path(__file__).parents[2] / "records"
RECORD = RECORDS / "2026-11-25_F1-batch-sizes" / "rows.json"


def metric(*, epsilon):
    """Metric 2.1 by one iteration."""
    return partial(sharpness, epsilon=epsilon, iterations=1)


@pytest.fixture(autouse=True)
def small(in_process, monkeypatch):
    make_small(monkeypatch)


def make_small(monkeypatch):
    """Fifty examples of six features, and one iteration of L-BFGS-B."""
    for module in (inputs, plan):
        monkeypatch.setattr(module, "whole", lambda *_, **__: SPLIT)
    for module in (batch_sizes, warm_start, sharpness_along):
        monkeypatch.setattr(module, "metric_2_1", metric)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The three figures and all their runs; shared, so change nothing."""
    out = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr(VERB, "executor", lambda *_, **__: InProcess())
        patch.setattr(runtime, "tune", lambda **_: runtime.Tuned(1, "left alone: a test"))
        for verb, options in VERBS.items():
            assert run(["paper", verb, *options.split(), "--out", str(out)]) == 0
    return out


def numbers(out, verb):
    return figures.load(out / "Figures" / f"F1-{verb}.json")


def solution(out, **wanted):
    """The run folder whose settings these are; `batch_size` of its configuration."""
    found = []
    for folder in out.glob("runs/F1-*"):
        settings = json.loads((folder / "settings.json").read_text())
        told = {**settings["config"], "warm_start": None, **settings}
        found += [Run(folder)] if wanted.items() <= told.items() else []
    (one,) = found
    return one


def evaluated(weights, *, seed=0, epsilon=1e-3):
    """Loss, test accuracy and sharpness at these weights, in plain PyTorch and by the measure itself."""
    part = data.subset(SPLIT.train, 40, seed=seed, classes=3)
    model = zoo.build("F1", seed=0, shape=(6,), classes=3)
    model.load_state_dict(weights)
    with torch.no_grad():
        loss = F.cross_entropy(model(part.inputs), part.targets).item()
        accuracy = (model(SPLIT.test.inputs).argmax(1) == SPLIT.test.targets).double().mean().item()
    found = metric(epsilon=epsilon)(Objective(model, part, batch_norm="batch"))
    return SimpleNamespace(loss=loss, accuracy=accuracy, sharpness=found.value, climbing=found.still_climbing)


def check(row, expected):
    assert row.still_climbing == expected.climbing
    assert row.loss == pytest.approx(expected.loss, rel=1e-5)
    assert row.sharpness == pytest.approx(expected.sharpness, rel=1e-9)


def trained(batch_size):
    """The weights of a training that knows nothing of run folders."""
    model = zoo.build("F1", seed=0, shape=(6,), classes=3)
    return train(model, PART, TrainConfig(batch_size=batch_size, epochs=2)).weights


def test_figure_4_has_the_numbers_of_its_solutions(made):
    rows = numbers(made, "batch-sizes").rows
    assert [(row.seed, row.batch_size, row.epsilon) for row in rows] == [
        (seed, size, epsilon) for seed in (0, 1) for size in (8, 20) for epsilon in (1e-3, 5e-4)
    ]
    for row in rows:
        assert row.epochs == 2
        weights = solution(made, batch_size=row.batch_size, seed=row.seed, warm_start=None).load("solution")[0]
        found = evaluated(weights, seed=row.seed, epsilon=row.epsilon)
        check(row, found)
        assert row.test_accuracy == pytest.approx(found.accuracy)


def test_figure_5_starts_at_x0_as_plain_large_batch_training_and_then_at_the_iterates(made):
    rows = numbers(made, "warm-start").rows
    assert [row.warm_epochs for row in rows] == [0, 1, 2]
    small, plain = (solution(made, batch_size=size, seed=0, warm_start=None) for size in (8, 20))
    assert same_bits(plain.load("solution")[0], trained(20))
    iterates = {1: small.load("solution.epoch-1")[0], 2: small.load("solution")[0]}
    for row in rows:
        start = {"config": TrainConfig(8, 2).settings(), "epoch": row.warm_epochs} if row.warm_epochs else None
        large = solution(made, batch_size=20, seed=0, warm_start=start)
        found = evaluated(large.load("solution")[0])
        check(row, found)
        assert row.test_accuracy == pytest.approx(found.accuracy)
        if start:
            assert same_bits(large.load("x0")[0], iterates[row.warm_epochs])
            assert row.small_test_accuracy == pytest.approx(evaluated(iterates[row.warm_epochs]).accuracy)
    assert rows[0].small_test_accuracy is None


def test_figure_6_has_the_numbers_of_the_iterates(made):
    rows = numbers(made, "sharpness-along").rows
    assert [(r.regime, r.batch_size, r.epoch) for r in rows] == [
        (regime, size, epoch) for regime, size in (("SB", 8), ("LB", 20)) for epoch in (0, 1, 2)
    ]
    for row in rows:
        run = solution(made, batch_size=row.batch_size, seed=0, warm_start=None)
        check(row, evaluated(run.load({0: "x0", 1: "solution.epoch-1", 2: "solution"}[row.epoch])[0]))
    assert (rows[0].loss, rows[0].sharpness) == (rows[3].loss, rows[3].sharpness)


@pytest.mark.parametrize(
    ("verb", "epochs", "trials"), [("batch-sizes", 100, 2), ("warm-start", 100, 1), ("sharpness-along", 20, 1)]
)
def test_the_budget_is_said_in_the_figure_and_with_its_numbers(made, verb, epochs, trials, capsys):
    found = numbers(made, verb)
    made_from = found.provenance
    assert made_from.scaled == SCALED.format(epochs, trials)
    drawing = drawn(found)
    assert SCALED.format(epochs, trials) in drawing.get_supxlabel()
    assert f"n = {trials}" in drawing.axes[0].get_title()
    assert "made up" in drawing.axes[0].get_title()
    assert made_from.environments[0]["threads"] == 1
    assert {folder.name for folder in made.glob("runs/F1-*")} >= set(made_from.runs)
    assert made_from.command.startswith(f"sharpmin paper {verb} -n F1 --budget images=40")


@pytest.mark.parametrize("verb", VERBS)
def test_the_command_that_it_names_computes_nothing_again(made, verb, monkeypatch, capsys):
    monkeypatch.setattr(VERB, "executor", lambda *_, **__: pytest.fail("carried out again"))
    before = numbers(made, verb)
    command = before.provenance.command.split()[1:]
    assert run([*command, "--quiet", "--out", str(made)]) == 0
    assert numbers(made, verb) == before
    assert "scaled down: 40 of 50 images" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_drawn_again_from_its_numbers_alone_it_is_the_same_picture(made, verb, tmp_path):
    shutil.copy(made / "Figures" / f"F1-{verb}.json", tmp_path)
    assert run(["redraw", str(tmp_path / f"F1-{verb}.json")]) == 0
    for name in (f"F1-{verb}.png", f"F1-{verb}.pdf"):
        assert (tmp_path / name).read_bytes() == (made / "Figures" / name).read_bytes()


def heights(line):
    """Of a curve with bars, and its marks."""
    return list(line.lines[0].get_ydata())


def test_figure_4_has_a_curve_of_each_epsilon_and_one_of_accuracy(made):
    found = numbers(made, "batch-sizes")
    drawing = drawn(found)
    left, right = drawing.axes
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "test accuracy",
        "sharpness, epsilon 0.001",
        "sharpness, epsilon 0.0005",
    ]
    assert len({line.lines[0].get_linestyle() for line in right.containers}) == 2
    assert len({line.lines[0].get_marker() for line in right.containers}) == 2
    for line, epsilon in zip(right.containers, (1e-3, 5e-4), strict=True):
        of_size = [[r.sharpness for r in found.rows if (r.batch_size, r.epsilon) == (b, epsilon)] for b in (8, 20)]
        assert heights(line) == pytest.approx([sum(values) / 2 for values in of_size])
    assert len(left.containers) == 1
    assert "epsilon = 0.001 and 0.0005" in found.provenance.note


def test_what_was_measured_by_one_epsilon_is_only_measured_by_the_other(made, tmp_path):
    command = ["paper", "batch-sizes", *VERBS["batch-sizes"].split(), "--out", str(tmp_path)]
    whole = numbers(made, "batch-sizes").rows
    assert run([*command, "--epsilon", "5e-4"]) == 0
    assert numbers(tmp_path, "batch-sizes").rows == tuple(row for row in whole if row.epsilon == 5e-4)
    trained_at = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/solution.safetensors")}
    before = {file: file.read_text() for file in tmp_path.glob("runs/*/sharpness.jsonl")}
    assert len(trained_at) == len(before) == 4
    assert run([*command, "--epsilon", "1e-3", "5e-4", "1e-3"]) == 0
    assert numbers(tmp_path, "batch-sizes").rows == whole
    assert {file: file.stat().st_mtime_ns for file in trained_at} == trained_at
    for file, lines in before.items():
        assert file.read_text().startswith(lines)
        (added,) = file.read_text().removeprefix(lines).splitlines()
        assert json.loads(added)["epsilon"] == 1e-3


def test_stopped_between_two_epsilons_it_goes_on_with_the_second(made, tmp_path, monkeypatch):
    def stopped(folder, name, rows):
        keep(folder, name, rows)
        if name == "sharpness.jsonl":
            raise KeyboardInterrupt

    keep = Run.write_lines
    command = ["paper", "batch-sizes", *VERBS["batch-sizes"].split(), "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_lines", stopped)
        assert run(command) == 130
    assert not (tmp_path / "Figures").exists()
    assert run(command) == 0
    assert numbers(tmp_path, "batch-sizes").rows == numbers(made, "batch-sizes").rows


def test_a_file_of_one_epsilon_by_an_earlier_version_is_drawn_again(tmp_path):
    shutil.copy(RECORD, tmp_path / "old.json")
    assert run(["redraw", str(tmp_path / "old.json")]) == 0
    assert (tmp_path / "old.png").exists()
    raw, found = json.loads(RECORD.read_text()), figures.load(RECORD)
    assert "epsilons" not in raw["provenance"]
    assert found.provenance.epsilons == (1e-3,)
    assert [asdict(row) for row in found.rows] == [
        {**row, "epsilon": 1e-3, "still_climbing": False} for row in raw["rows"]
    ]
    (curve,) = drawn(found).axes[1].containers
    assert heights(curve) == [row["sharpness"] for row in raw["rows"]]


@pytest.mark.parametrize("verb", VERBS)
def test_the_line_below_says_how_many_searches_were_cut_off(made, verb):
    found = numbers(made, verb)
    calm = tuple(replace(row, still_climbing=False) for row in found.rows)
    none, one = (replace(found, rows=rows) for rows in (calm, (replace(calm[0], still_climbing=True), *calm[1:])))
    assert figures.note_of(none) == found.provenance.note
    assert figures.note_of(one).startswith(f"{found.provenance.note}; in 1 of {len(calm)} searches")
    assert "still climbing" in " ".join(drawn(one).get_supxlabel().split())


@pytest.mark.parametrize("record", ["2026-11-25_F1-warm-start", "2026-11-25_F1-sharpness-along"])
def test_the_other_figures_of_an_earlier_version_too(record):
    found = figures.load(RECORDS / record / "rows.json")
    assert found.provenance.epsilons == (1e-3,)
    assert drawn(found).axes


def test_killed_it_goes_on_to_the_same_numbers(made, tmp_path, monkeypatch):
    def killed(folder, name, state, *, finished):
        if finished and (folder.folder / "x0.safetensors").exists() and len(list(tmp_path.glob("runs/F1-*"))) > 2:
            raise KeyboardInterrupt
        keep(folder, name, state, finished=finished)

    keep = parametric.Run.save_state
    command = ["paper", "warm-start", *VERBS["warm-start"].split(), "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(parametric.Run, "save_state", killed)
        assert run(command) == 130
    assert not (tmp_path / "Figures").exists()
    assert run(command) == 0
    assert numbers(tmp_path, "warm-start").rows == numbers(made, "warm-start").rows


def test_a_number_that_is_none_survives_and_is_drawn(tmp_path, made):
    found = numbers(made, "batch-sizes")
    first, *others = found.rows
    broken = replace(found, rows=(replace(first, sharpness=float("inf"), test_accuracy=None), *others))
    write_json(tmp_path / "broken.json", figures.as_json(broken))
    assert figures.load(tmp_path / "broken.json") == broken
    assert drawn(broken).axes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("warm-start --every 0", "--every 0: give at least 1"),
        ("warm-start --small-batch 20 --large-batch 20", "a small batch of 20 and a large one of 20 of 40"),
        ("warm-start --large-batch 41", "a large one of 41 of 40 training examples"),
        ("sharpness-along --small-batch 0", "a small batch of 0"),
        ("sharpness-along --first 3", "--first 3: choose an epoch from 0 to 2"),
        ("batch-sizes --sizes 41", "choose one from 1 to 40"),
        ("batch-sizes --sizes 8 8", "train the same"),
        ("batch-sizes --budget images=many", "whole number"),
    ],
)
def test_a_request_that_makes_no_sense(arguments, says, tmp_path, capsys):
    verb, *given = arguments.split()
    common = COMMON.split() if "--budget" not in given else ["-n", "F1", "--data", "synthetic", "--quiet"]
    assert run(["paper", verb, *common, *given, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_no_figure_is_told(tmp_path, capsys):
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"figure": "warm-start", "rows": []}))
    assert run(["redraw", str(file)]) == 1
    assert "give one that sharpmin paper wrote" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [verbs.batch_sizes, verbs.warm_start, verbs.sharpness_along])
def test_help_explains_every_option(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["paper", verb.__name__.replace("_", "-"), "--help"]) == 0
    said = capsys.readouterr().out
    own = [name for name in inspect.signature(verb).parameters if name != "options"]
    for name, explained in [(n, verb) for n in own] + [(f.name, Reproduction) for f in fields(Reproduction)]:
        assert f"--{name.replace('_', '-')} " in said
        assert f"\n    {name}\n        " in explained.__doc__
