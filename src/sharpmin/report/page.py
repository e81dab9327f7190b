"""One self-contained HTML file: style, script and every number are in it, and its policy forbids any request.

Numbers stand in the page once, as JSON; the script shows them as tables and saves them as CSV or JSON. Without
scripts all sections follow one another.
"""

import json
import math
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from sharpmin.report import sections
from sharpmin.report.blocks import Figure, Numbers, Surface, Table
from sharpmin.report.chart import SHAPES
from sharpmin.report.doubts import doubts
from sharpmin.report.sections import accuracy, path
from sharpmin.report.story import Story
from sharpmin.report.verdict import verdict

HOME = files("sharpmin.report")


def page(story: Story) -> str:
    """The whole file.

    Args:
        story: what `sharpmin.report.gather` read.

    Returns:
        HTML; the same story gives the same text.

    """
    tabs, missing = sections.of(story)
    facts = accuracy.facts(story) if story.trials else None
    plot = path.summary(story)
    shown = [block.numbers for block in (facts, plot) if block is not None]
    downloads = [*shown, *(numbers for tab in tabs for numbers in tab.numbers)]
    surfaces = [block for tab in tabs for block in tab.blocks if isinstance(block, Surface)]
    return template("page.html").render(
        story=story,
        verdict=verdict(story),
        doubts=doubts(story),
        facts=facts,
        plot=plot,
        tabs=tabs,
        missing=missing,
        surfaces=surfaces,
        version=version("sharpmin"),
        trials=trials(story),
        style=Markup(text("page.css")),
        script=script("theme", "tabs", "numbers", "surface"),
        numbers=embedded_numbers(downloads),
        shown_surfaces=embedded([{**one.shape, "colours": one.colours} for one in surfaces]),
    )


def template(name: str) -> Template:
    """One of the templates, which share the macros of blocks.html."""
    environment = Environment(
        loader=FunctionLoader(text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests |= {"table": is_a(Table), "figure": is_a(Figure), "surface": is_a(Surface)}
    environment.globals["shapes"] = SHAPES
    return environment.get_template(name)


def script(*names: str) -> Markup:
    """The page's scripts, as one."""
    return Markup("\n".join(text(f"{name}.js") for name in names))


def text(name: str) -> str:
    """One of the page's own files."""
    return HOME.joinpath(name).read_text(encoding="utf-8")


def is_a(kind: type) -> Any:
    """A test of the template."""
    return lambda block: isinstance(block, kind)


def trials(story: Story) -> str:
    """Say "5 trials (seed 0, seed 1)"."""
    names = [trial.name for trial in story.trials]
    return f"{len(names)} trials ({', '.join(names)})" if len(names) > 1 else "".join(names)


def checked(downloads: Sequence[Numbers]) -> Sequence[Numbers]:
    """The numbers, no two under one key: one of them would be lost."""
    keys = [one.key for one in downloads]
    assert len(set(keys)) == len(keys), f"two tables are called the same: {sorted(keys)}"
    return downloads


def embedded_numbers(downloads: Sequence[Numbers]) -> Markup:
    """All that can be downloaded, for the page's script."""
    return embedded({one.key: {"columns": one.columns, "rows": one.rows} for one in checked(downloads)})


def embedded(value: Any) -> Markup:
    """JSON that can stand in a script element; NaN and infinity as strings, which JSON lacks.

    Example:
        >>> embedded({"a": [0.1, float("nan"), "</script>"]})
        Markup('{"a":[0.1,"NaN","\\\\u003c/script>"]}')

    """
    written = json.dumps(spelt(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return Markup(written.replace("<", "\\u003c"))


def spelt(value: Any) -> Any:
    """The value with NaN and infinity spelt out."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: spelt(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [spelt(part) for part in value]
    return value
