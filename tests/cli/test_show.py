"""Tables on terminals of any width: wrapped or row by row, but whole."""

import pytest
from rich.table import Table
from rich.text import Text

from sharpmin.cli.measuring import show

CELLS = ("a.pt", "0.001234", "1.5 ± 0.01", "iterations, and then still climbing by a lot", "777.25")


@pytest.fixture
def table():
    shown = Table("", "epsilon", "first order", "ended", "s", box=None)
    shown.add_row(*CELLS)
    return shown


@pytest.mark.parametrize(("width", "lines"), [(120, 2), (70, 3), (50, 5), (30, 6)])
def test_nothing_is_cut_at_a_terminal(table, width, lines, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    show(table)
    shown = Text.from_ansi(capsys.readouterr().out).plain
    assert all(word in shown.split() for cell in CELLS for word in cell.split())
    assert all(len(line) <= width for line in shown.splitlines())
    assert len(shown.splitlines()) >= lines


def test_a_pipe_gets_a_line_a_row_as_long_as_it_needs(capsys):
    shown = Table(*map(str, range(10)), box=None)
    shown.add_row(*["1234567890" * 2] * 10)
    show(shown)
    assert capsys.readouterr().out.splitlines()[1].split() == ["1234567890" * 2] * 10
