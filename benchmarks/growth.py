"""How the time of a path grows with the images, with the weights and with the points, and the slope in log-log.

One process of a side times every size, smallest first. The networks are fully connected, 512 units a layer, so that the
operations are proportional to the weights. A slope of 1 is proportional growth; below it, a part of the time does not
grow. The residual is the factor by which a measured time typically lies off the fitted line.
"""

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from sides import landscape
from sides.problem import Problem
from turns import Row, clocked

Sizes = dict[str, tuple[int, ...]]
AXES = ("images", "layers", "points")
SHOWN = {"images": "images", "layers": "weights", "points": "points"}
SIZES: Sizes = {"images": (500, 1000, 2000, 4000), "layers": (2, 4, 8, 16), "points": (3, 6, 12, 24)}
MIDDLE = {"images": 1000, "layers": 4, "points": 6}
QUICK_SIZES: Sizes = {"images": (16, 32, 64), "layers": (1, 2, 4), "points": (2, 4, 8)}
QUICK_MIDDLE = {"images": 32, "layers": 1, "points": 2}


def turn(side: str, *, quick: bool) -> Row:
    """Seconds along each axis, the other two in the middle: (size, seconds) of each."""
    sizes, middle = (QUICK_SIZES, QUICK_MIDDLE) if quick else (SIZES, MIDDLE)
    return {SHOWN[axis]: [timed(side, axis, {**middle, axis: size}) for size in sizes[axis]] for axis in AXES}


def timed(side: str, axis: str, at: dict[str, int]) -> tuple[int, float]:
    """The size along an axis, and the seconds of a path."""
    problem = Problem(f"dense-{at['layers']}", at["images"])
    paths = landscape.MAKERS[side](problem)
    paths.path(1)
    _, seconds, _ = clocked(lambda: paths.path(at["points"]))
    return problem.weights if axis == "layers" else at[axis], seconds


def fitted(turns: list[Row]) -> dict[str, dict[str, Any]]:
    """For each axis and side the median seconds at each size, and the slope of their logarithms with its residual."""
    found: dict[str, dict[str, Any]] = {axis: {} for axis in SHOWN.values()}
    for axis in found:
        for side in dict.fromkeys(row["side"] for row in turns):
            mine = [row[axis] for row in turns if row["side"] == side]
            sizes = [size for size, _ in mine[0]]
            seconds = [statistics.median(each[i][1] for each in mine) for i in range(len(sizes))]
            found[axis][side] = {"n": len(mine), "sizes": sizes, "seconds": seconds, **slope(sizes, seconds)}
    return found


def slope(sizes: list[int], seconds: list[float]) -> dict[str, float]:
    """The straight line through the logarithms by least squares: seconds = scale * size^slope.

    The residual is exp of the root mean square of what is left: 1.05 says that times lie 5% off, typically.
    """
    x, y = np.log(sizes), np.log(seconds)
    rise, start = np.polyfit(x, y, 1)
    left = y - (rise * x + start)
    return {"slope": float(rise), "scale": math.exp(start), "residual": math.exp(float(np.sqrt(np.mean(left**2))))}


def table(found: dict[str, dict[str, Any]]) -> str:
    """The slopes, to read."""
    lines = [f"{'growth of a path':34}{'slope':>10}{'residual':>12}"]
    for axis, sides in found.items():
        for side, one in sides.items():
            lines.append(f"{f'with {axis}, {side}':34}{one['slope']:>10.2f}{one['residual']:>12.2f}")
    return "\n".join(lines)


def draw(found: dict[str, dict[str, Any]], file: Path) -> None:
    """Seconds against size, an axis a panel, with the fitted lines."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(found), figsize=(11, 3.6), layout="constrained")
    for panel, (axis, sides) in zip(panels, found.items(), strict=True):
        for side, one in sides.items():
            line = [one["scale"] * size ** one["slope"] for size in one["sizes"]]
            (drawn,) = panel.loglog(one["sizes"], one["seconds"], "o", label=f"{side}, slope {one['slope']:.2f}")
            panel.loglog(one["sizes"], line, "-", color=drawn.get_color(), linewidth=1)
        panel.set(xlabel=axis, ylabel="seconds of a path")
        sizes = next(iter(sides.values()))["sizes"]
        panel.set_xticks(sizes, [f"{size / 1e6:.2f} M" if size >= 1e5 else f"{size}" for size in sizes])
        panel.set_xticks([], minor=True)
        panel.legend(fontsize=8)
    figure.savefig(file, dpi=150)
