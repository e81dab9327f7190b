"""Progress where nobody watches: few lines, and readable ones."""

import pytest
from rich.console import Console

from sharpmin import console


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_line_each_half_minute_and_one_at_the_end(clock, capsys):
    with console.progress() as report:
        for done in range(0, 101, 5):
            clock[0] = float(done)
            report("train", done, 100, unit="images", note="loss 0.1")
    assert capsys.readouterr().err.splitlines() == [
        "train  30/100 images  ETA 1:10  loss 0.1",
        "train  60/100 images  ETA 0:40  loss 0.1",
        "train  90/100 images  ETA 0:10  loss 0.1",
        "train  100/100 images  took 1:40  loss 0.1",
    ]


def test_an_unknown_total_has_no_eta(clock, capsys):
    report = console.Lines()
    report("fetch", 0, None, unit="B")
    clock[0] = 31.0
    report("fetch", 12_300_000, None, unit="B")
    assert capsys.readouterr().err == "fetch  12.3 MB\n"


def test_quiet_says_nothing(capsys):
    with console.progress(quiet=True) as report:
        report("train", 1, 1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_a_task():
    shown = console.bars(Console())
    report = console.Bars(shown)
    for task, done in (("train", 1), ("train", 2), ("fetch", 3)):
        report(task, done, 4, unit="points")
    assert [(t.description, t.completed, t.fields["amount"]) for t in shown.tasks] == [
        ("train", 2, "2/4 points"),
        ("fetch", 3, "3/4 points"),
    ]


@pytest.mark.parametrize("width", [50, 80, 120])
def test_a_narrow_terminal_shows_the_times_whole(width, capsys):
    drawn = Console(width=width, force_terminal=True, color_system=None)
    report = console.Bars(console.bars(drawn))
    report("small-batch training", 35_000, 150_000, unit="images", note="epoch 7, loss 0.1234")
    drawn.print(report.shown.get_renderable())
    line, *more = capsys.readouterr().out.splitlines()
    assert " 23% " in line
    assert " 0:00:00 ETA -:--:-- " in line
    assert more == []


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0:00"), (75, "1:15"), (3675, "1:01:15")])
def test_clock(seconds, said):
    assert console.clock(seconds) == said
