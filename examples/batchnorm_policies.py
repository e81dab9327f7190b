"""The figure of docs/batchnorm.md: one path under three BatchNorm policies, drawn from what `sharpmin path` wrote.

python examples/residual.py
for policy in running batch recalibrate; do
  sharpmin path examples/residual.py:make residual/small.pt residual/large.pt --batch-norm $policy --out $policy
done
python examples/batchnorm_policies.py running batch recalibrate --figure docs/batchnorm.png
"""

import argparse
import json
from math import isfinite, nan
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin import plots

STYLES = {
    "running": {"color": "tab:red"},
    "batch": {"color": "tab:green", "linewidth": 4, "alpha": 0.5},  # recalibrate lies on top of it
    "recalibrate": {"color": "tab:blue"},
}


def draw(axes: Axes, curve: dict, key: str, *, dashed: bool = False) -> None:
    """One curve, as far as the loss is finite."""
    policy, line = curve["batch_norm"], "--" if dashed else "-"
    values = [value if isfinite(loss) else nan for value, loss in zip(curve[key], curve["losses"], strict=True)]
    axes.plot(curve["alphas"], values, line, label=None if dashed else policy, **STYLES[policy])


def figure(curves: list[dict]) -> Figure:
    """Loss and accuracy against alpha, training data solid, test data dashed."""
    with matplotlib.rc_context(plots.STYLE):
        drawn = Figure(figsize=(9, 3.6), layout="constrained")
        loss, accuracy = drawn.subplots(1, 2)
        for curve in curves:
            for part in ("train", "test"):
                draw(loss, curve[part], "losses", dashed=part == "test")
                draw(accuracy, curve[part], "accuracies", dashed=part == "test")
        for axes, label in ((loss, "cross-entropy"), (accuracy, "accuracy")):
            axes.set_xlabel("alpha   (0: small batch;  1: large batch)")
            axes.set_ylabel(label)
            axes.axvline(0, color="grey", linewidth=0.8, linestyle=":")
            axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
        loss.set_ylim(0, 3)
        loss.legend(title="BatchNorm")
    return drawn


def table(curves: list[dict], alphas: tuple[float, ...] = (-1, -0.5, 0, 0.5, 0.75, 1, 1.125, 1.5)) -> str:
    """The loss and the accuracy on the training data in Markdown."""
    rows = ["| alpha | " + " | ".join(str(alpha) for alpha in alphas) + " |", "|---" * (len(alphas) + 1) + "|"]
    for curve in (curve["train"] for curve in curves):
        at = dict(zip(curve["alphas"], zip(curve["losses"], curve["accuracies"], strict=True), strict=True))
        cells = [f"{at[a][0]:.3f} ({at[a][1]:.0%})" if isfinite(at[a][0]) else "NaN" for a in alphas]
        rows.append(f"| {curve['batch_norm']} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw one path under several BatchNorm policies.")
    parser.add_argument("folders", type=Path, nargs="+", help="what was given to sharpmin path as --out")
    parser.add_argument("--figure", type=Path, required=True)
    options = parser.parse_args()
    found = [json.loads((folder / "Figures" / "small-to-large.json").read_text()) for folder in options.folders]
    plots.save(figure(found), options.figure)
    print(table(found))
