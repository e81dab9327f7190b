"""file.pt:key as people type it."""

from pathlib import Path

import pytest

from sharpmin.checkpoints import parse_place


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("last.ckpt", "run:3.pt", "a:b/c.pt", r"C:\runs\last.ckpt", "C:x.pt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "key"),
    [
        ("last.ckpt", "last.ckpt", None),
        ("last.ckpt:ema", "last.ckpt", "ema"),
        ("last.ckpt:state_dict.model", "last.ckpt", "state_dict.model"),
        ("last.ckpt:", "last.ckpt", ""),
        ("last.ckpt:odd:key", "last.ckpt", "odd:key"),
        ("run:3.pt", "run:3.pt", None),
        ("run:3.pt:ema", "run:3.pt", "ema"),
        ("a:b", "a:b", None),
        ("a:b/c.pt:ema", "a:b/c.pt", "ema"),
        (r"C:\runs\last.ckpt", r"C:\runs\last.ckpt", None),
        (r"C:\runs\last.ckpt:ema", r"C:\runs\last.ckpt", "ema"),
        ("C:x.pt", "C:x.pt", None),
        ("nowhere.pt:ema", "nowhere.pt:ema", None),
        (r"C:\nowhere.pt", r"C:\nowhere.pt", None),
        (":ema", ":ema", None),
        ("x" * 5000 + ":ema", "x" * 5000 + ":ema", None),
    ],
)
def test_the_key_is_what_follows_something_that_exists(here, text, path, key):
    assert parse_place(text) == (Path(path), key)


def test_a_drive_letter_is_no_file_even_where_a_file_has_its_name(here):
    Path("C").touch()
    assert parse_place(r"C:\nowhere.pt") == (Path(r"C:\nowhere.pt"), None)


def test_home_and_absolute_paths(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert parse_place("~/last.ckpt:ema") == (here / "last.ckpt", "ema")
    assert parse_place(f"{here}/last.ckpt:ema") == (here / "last.ckpt", "ema")
    assert parse_place(f"{here}:ema") == (here, "ema")
