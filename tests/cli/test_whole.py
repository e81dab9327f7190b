"""`sharpmin paper all` in small: every step once, a page of all, and what fails, is left out or is interrupted."""

import re
from dataclasses import replace
from functools import partial
from importlib import import_module

import pytest

from cases import toy
from conftest import InProcess
from sharpmin import runtime
from sharpmin.cli import run, whole
from sharpmin.errors import DataError
from sharpmin.measures import sharpness
from sharpmin.paper import batch_sizes, inputs, remedies, sharpness_along, warm_start
from sharpmin.paper.contents import CONTENTS
from sharpmin.paper.inputs import MADE_UP
from sharpmin.paper.metric import metric_2_1
from sharpmin.sweep import plan, recipes

SPLIT = toy()
COMMAND = "paper all --data synthetic --budget images=40,epochs=1,trials=1 --threads 1 --quiet"
VERB = import_module("sharpmin.cli.sweep")


def metric(**options):
    """Metric 2.1 by one iteration, in the full space."""
    return partial(sharpness, **{**options, "subspace": None}, iterations=1)


@pytest.fixture(autouse=True)
def small(in_process, monkeypatch):
    make_small(monkeypatch)


def make_small(monkeypatch):
    """Fifty examples of six features, and one iteration of L-BFGS-B where no number of the paper stands beside."""
    for module in (inputs, plan):
        monkeypatch.setattr(module, "whole", lambda *_, **__: SPLIT)
    for module in (batch_sizes, warm_start, sharpness_along, remedies):
        monkeypatch.setattr(module, "metric_2_1", metric)
    monkeypatch.setattr(remedies, "NAMES", ("sam",))
    monkeypatch.setattr(recipes, "both_epsilons", lambda: (metric_2_1(epsilon=1e-3), metric_2_1(epsilon=5e-4)))


def everything(out, *options):
    return run([*COMMAND.split(), "--out", str(out), "-o", str(out / "paper.html"), *options])


def standings(page):
    """What the contents say of each entry."""
    return dict(re.findall(r'<a href="#[\w-]+">([^<]+)</a></th><td>[^<]*</td><td>([^<]*)</td>', page.read_text()))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All of F1; shared, so change nothing."""
    out = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        patch.setattr(VERB, "executor", lambda *_, **__: InProcess())
        patch.setattr(runtime, "tune", lambda **_: runtime.Tuned(1, "left alone: a test"))
        assert everything(out, "-n", "F1") == 0
    return out


def test_every_entry_of_the_paper_is_made_but_random_subspaces(made):
    found = standings(made / "paper.html")
    assert list(found) == [entry.name for entry in CONTENTS]
    assert {found[name] for name in ("Table 1", "Appendix A", "Appendix C")} == {"made"}
    assert found["Table 4"] == "failed: F1"  # of which nothing was measured here
    others = found.keys() - {"Table 1", "Table 4", "Appendix A", "Appendix C"}
    assert {found[name] for name in others} == {"F1"}


def test_the_page_says_what_it_is_of_and_has_the_paper_s_numbers_beside(made):
    text = (made / "paper.html").read_text()
    assert MADE_UP in text
    assert "<code>sharpmin paper all -n F1 --budget images=40,epochs=1,trials=1 --data synthetic</code>" in text
    assert re.search(
        r"F1 on synthetic \(made up, not real data\), 1 trial \(F1-\w+\); scaled down: 40 of 50 images", text
    )
    for published in ("98.03 ± 0.07", "205.14 ± 69.52", "3 to 10"):
        assert published in text.replace("\N{NO-BREAK SPACE}", " ")
    assert text.count("data:image/png;base64,") == 3
    assert re.findall(r'(?:src|href)="(?!#|data:)', text) == []


def test_the_second_time_nothing_is_carried_out(made, monkeypatch):
    before = (made / "paper.html").read_text()
    monkeypatch.setattr(VERB, "executor", lambda *_, **__: pytest.fail("carried out again"))
    assert everything(made, "-n", "F1") == 0
    assert (made / "paper.html").read_text() == before


def test_a_step_that_fails_is_told_and_the_others_are_made(tmp_path, monkeypatch, capsys):
    def fails(step, options):
        raise ZeroDivisionError("on purpose")

    pairs, line, *_ = whole.STEPS
    monkeypatch.setattr(whole, "STEPS", (replace(pairs, carry_out=fails), line))
    assert everything(tmp_path, "-n", "F1") == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("failed: F1, Table 2, Table 3")
    assert said[0].endswith("ZeroDivisionError: on purpose")
    assert said[1].startswith("sharpmin: 1 of 2 parts failed; the same command goes on")
    found = standings(tmp_path / "paper.html")
    assert (found["Table 2"], found["Figure 3"], found["Figure 4"]) == ("failed: F1", "F1", "not made")
    assert "F1 failed: ZeroDivisionError: on purpose" in (tmp_path / "paper.html").read_text()


def test_networks_without_data_are_left_out_with_the_reason(tmp_path, monkeypatch, capsys):
    def only_f1(network, *_, **__):
        if network != "F1":
            raise DataError(f"no source answers for {network}")
        return SPLIT

    monkeypatch.setattr(inputs, "whole", only_f1)
    monkeypatch.setattr(whole, "STEPS", ())
    assert everything(tmp_path) == 0
    assert "C3 is left out: no source answers for C3\n" in capsys.readouterr().out
    text = (tmp_path / "paper.html").read_text()
    assert [name for name in ("F1", "F2", "C1", "C2", "C3", "C4") if f"<li>{name}: no source" in text] == [
        *("F2", "C1", "C2", "C3", "C4")
    ]
    assert "<code>sharpmin paper all --budget" in text
    assert everything(tmp_path, "-n", "F1", "C3") == 1  # it was asked for
    assert "there are no data for C3" in capsys.readouterr().err


def test_f2_has_data_of_its_own(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(inputs, "whole", lambda network, name, **_: read.append((network, name)))
    monkeypatch.setattr(whole, "STEPS", ())
    assert (
        run(["paper", "all", "-n", "C1", "F2", "--speech", "exp/f2", "-o", str(tmp_path / "page.html"), "--quiet"]) == 0
    )
    assert read == [("C1", "cifar10"), ("F2", "exp/f2")]
    assert "<code>sharpmin paper all -n C1 F2 --speech exp/f2</code>" in (tmp_path / "page.html").read_text()


def test_interrupted_it_leaves_a_page_and_goes_on(tmp_path, monkeypatch, capsys):
    def interrupted(step, options):
        raise KeyboardInterrupt

    pairs, line, *_ = whole.STEPS
    monkeypatch.setattr(whole, "STEPS", (pairs, replace(line, carry_out=interrupted)))
    assert everything(tmp_path, "-n", "F1") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert standings(tmp_path / "paper.html")["Figure 3"] == "not made"
    monkeypatch.setattr(whole, "STEPS", (pairs, line))
    monkeypatch.setattr("sharpmin.paper.minimizers.train", lambda *_, **__: pytest.fail("trained again"))
    assert everything(tmp_path, "-n", "F1") == 0
    assert standings(tmp_path / "paper.html")["Figure 3"] == "F1"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("-n F7", "unknown network 'F7'"),
        ("--budget images=0", "images=0"),
        ("--budget x=1", "give full"),
        ("--threads 0", "--threads 0: give at least 1"),
        ("--gpus 1", "name the one here by --device"),
    ],
)
def test_what_cannot_be_understood(tmp_path, capsys, options, says):
    assert run(["paper", "all", *options.split(), "--out", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
