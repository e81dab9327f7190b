"""Text on disk is UTF-8 whatever the locale: every call that reads or writes some says so."""

import ast
from pathlib import Path

import sharpmin

SOURCES = sorted(Path(sharpmin.__file__).parent.rglob("*.py"))
TEXT = ("read_text", "write_text")


def without_encoding(call):
    """Whether a call reads or writes text in the locale's encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [word.value for word in ast.walk(call) if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    opens = isinstance(call.func, ast.Name) and name == "open" and not any("b" in word for word in words[1:])
    return (name in TEXT or opens) and "encoding" not in [keyword.arg for keyword in call.keywords]


def test_the_encoding_is_said_everywhere():
    calls = [
        (file.name, node)
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert [f"{name}:{call.lineno}" for name, call in calls if without_encoding(call)] == []
