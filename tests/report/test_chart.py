"""Places in the drawings, read back from the SVG, against the numbers that went in."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from sharpmin.report.axes import Axis, around, decades, rounds
from sharpmin.report.chart import BOTTOM, LEFT, RIGHT, TOP, Guide, Series, chart
from sharpmin.report.contours import BANDS, BAR, contours, heights

WIDTH, HEIGHT = 560, 300


def places(svg, kind="mark"):
    """The places of the markers."""
    marks = [e for e in ET.fromstring(svg).iter("path") if e.get("class", "").startswith(kind)]
    return [tuple(map(float, re.match(r"translate\(([^,]+),([^)]+)\)", m.get("transform")).groups())) for m in marks]


def read(svg, x, y):
    """The values of the markers, from where they are."""
    log = math.log10 if y.log else float
    low, high = log(y.low), log(y.high)
    for across, up in places(svg):
        share = (HEIGHT - BOTTOM - up) / (HEIGHT - TOP - BOTTOM)
        value = low + share * (high - low)
        yield (
            x.low + (across - LEFT) / (WIDTH - LEFT - RIGHT) * (x.high - x.low),
            10**value if y.log else value,
        )


@pytest.mark.parametrize("log", [False, True])
def test_markers_are_where_their_numbers_say(log):
    xs, ys = [-1.0, 0.25, 2.0], [0.003, 1.0, 250.0]
    x, y = around(Axis("alpha"), xs), around(Axis("loss", log=log), ys)
    svg = chart([Series("a", xs, ys, "p0", "circle")], x=x, y=y, describes="")
    found = list(read(svg, x, y))
    assert [a for a, _ in found] == pytest.approx(xs, abs=0.005)
    assert [b for _, b in found] == pytest.approx(ys, rel=0.01 if log else None, abs=None if log else 0.1)


def test_what_cannot_be_drawn_is_a_gap_and_no_zero():
    ys = [1.0, math.nan, 10.0, 0.0, math.inf, None, 5.0]
    x, y = Axis("step", 0, 6), Axis("loss", 1, 10, log=True)
    svg = chart([Series("a", range(7), ys, "p0", "circle")], x=x, y=y, describes="")
    assert len(places(svg)) == 3
    (line,) = (e.get("d") for e in ET.fromstring(svg).iter("path") if e.get("class") == "line p0")
    assert (line.count("M"), line.count("L")) == (3, 0)


def test_text_is_escaped():
    hostile = '"><script>alert(1)</script>'
    series = [Series(hostile, [0.5], [0.5], "p0", "circle")]
    guides = [Guide(0.5, hostile, "p0")]
    svg = chart(series, x=Axis(hostile), y=Axis(hostile), guides=guides, describes=hostile)
    assert "<script" not in svg
    assert ET.fromstring(svg).get("aria-label") == hostile


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 2), (0, 37), (99.2, 99.9), (0, 1e-5), (-3e7, 8e7)])
def test_linear_ticks_are_few_inside_and_even(low, high):
    ticks = [value for value, _ in rounds(low, high)]
    assert 3 <= len(ticks) <= 8
    assert low - 1e-9 <= min(ticks) <= max(ticks) <= high * (1 + 1e-9) + 1e-12
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])
    assert len({text for _, text in rounds(low, high)}) == len(ticks)


@pytest.mark.parametrize(("low", "high"), [(1e-4, 3), (0.2, 0.9), (1, 1e12), (5, 5000), (0.011, 0.012)])
def test_logarithmic_ticks_are_few_inside_and_named_apart(low, high):
    ticks = decades(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low * 0.999 <= value <= high * 1.001 for value, _ in ticks)


def test_a_plane_s_bands_end_where_the_loss_says():
    """f = alpha on [0, 14]: the edges between the bands are vertical, at alpha = 1, 2, ..., 13."""
    alphas = [float(a) for a in range(15)]
    svg = contours(alphas, [0.0, 7.0, 14.0], heights([alphas] * 3), describes="")
    bands = [e for e in ET.fromstring(svg).iter("path") if e.get("class") == "band"]
    assert len(bands) == BANDS
    wide = WIDTH - BAR - LEFT
    for at, band in enumerate(bands):
        xs = [float(pair.split(",")[0]) for pair in re.findall(r"[-\d.]+,[-\d.]+", band.get("d"))]
        edges = ((min(xs) - LEFT) / wide * 14, (max(xs) - LEFT) / wide * 14)
        assert edges == pytest.approx((at, at + 1), abs=0.01)


def test_losses_that_differ_much_are_drawn_by_their_logarithms():
    found = heights([[1e-3, 1.0], [10.0, math.nan]])
    assert found.log
    assert found.values.tolist() == [[-3.0, 0.0], [1.0, None]]
    assert (found.edges[0], found.edges[-1]) == (-3.0, 1.0)
    assert not heights([[1.0, 2.0], [3.0, -4.0]]).log


@pytest.mark.parametrize("losses", [[[math.nan] * 3] * 3, [[2.0] * 3] * 3, [[1.0, math.inf, 2.0]] * 3])
def test_a_plane_of_nothing_or_of_one_value_is_still_drawn(losses):
    svg = contours([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], heights(losses), marks=[("<a>", 1.0, 1.0)], describes="")
    assert "&lt;a&gt;" in svg
    ET.fromstring(svg)
