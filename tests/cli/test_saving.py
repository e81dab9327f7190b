"""A figure's files: one name, whatever is in it, and the numbers before the drawing."""

import pytest
from matplotlib.figure import Figure

from sharpmin.cli.saving import save


def files(folder):
    return {file.name for file in folder.iterdir()}


def test_a_name_with_a_dot_is_the_name_of_all_files(tmp_path, capsys):
    save(tmp_path / "a.1", Figure, {"losses": [1.0]})
    save(tmp_path / "a.2", Figure)
    assert files(tmp_path) == {"a.1.json", "a.1.pdf", "a.1.png", "a.2.pdf", "a.2.png"}
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Plot saved as {tmp_path}/a.1.pdf, .png and .json"
    assert second == f"Plot saved as {tmp_path}/a.2.pdf and .png"


def test_what_cannot_be_drawn_has_its_numbers_kept(tmp_path):
    def draw():
        raise RuntimeError("no font")

    with pytest.raises(RuntimeError, match="no font"):
        save(tmp_path / "a", draw, {"losses": [1.0]})
    assert files(tmp_path) == {"a.json"}
