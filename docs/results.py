"""Write docs/results.md: ours beside the paper's, entry by entry, every number of ours read from the committed records.

    python docs/results.py

A record counts by what it holds: the rows.json of `sharpmin tables` for Tables 2 to 4, of `sharpmin plot` for Figures 3
and 7 (its histories for Figure 2), of `sharpmin paper` for Figures 4 to 6, and a README's line for the distances. Of
two records of one network the later counts. A network without a record says so. tests/test_results.py keeps page and
records together.
"""

import json
import re
from pathlib import Path
from typing import Any

from sharpmin.paper.configurations import configurations
from sharpmin.paper.parametric_plot import ParametricPlot, load
from sharpmin.paper.performance import iterations_limit
from sharpmin.paper.published import PublishedCurve, accuracy_cell, difference, figure_3, published, sharpness_row
from sharpmin.paper.recipes import RECIPES

HERE = Path(__file__).parent
RECORDS = HERE.parent / "records"
REGIMES = ("SB", "LB")
EPSILONS = (1e-3, 5e-4)
NONE = "no run yet"
DISTANCES = re.compile(r"\|x_SB - x0\| / \|x_LB - x0\|: (?P<ours>[\d.]+ ± [\d.]+, n = \d+)")
FIGURES = {
    "Figure 4": ("batch-sizes", "accuracy and sharpness against batch size"),
    "Figure 5": ("warm-start", "warm starts of large-batch training"),
    "Figure 6": ("sharpness-along", "sharpness against loss in training"),
    "Appendix E": ("remedies", "augmentation, conservative, robust training, and younger remedies"),
}
SHARPNESS = ["", "", "1e-3, ours", "1e-3, paper", "5e-4, ours", "5e-4, paper", "n", "record"]
CURVE = [
    "",
    "rise beyond SB",
    "rise beyond LB",
    "barrier",
    "beyond SB, paper",
    "beyond LB, paper",
    "barrier, paper",
    "train accuracy apart",
    "record",
]
Rows = list[list[str]]


def page() -> str:
    """The whole page, from its text with a table in place of each {name}."""
    made = {
        "table_1": table_1(),
        "table_2": table(
            ["", "", "train, ours", "train, paper", "test, ours", "test, paper", "n", "record"], table_2()
        ),
        "table_3": table(SHARPNESS, sharpness_table(3, None)),
        "table_4": table(SHARPNESS, sharpness_table(4, 100)),
        "figure_2": table(["", "", "epochs", "best test accuracy", "last", "last, training", "record"], figure_2()),
        "figure_3": table(CURVE, curves("line")),
        "figure_7": table(CURVE[:4] + CURVE[-1:], [row[:4] + row[-1:] for row in curves("arc")]),
        "figures": many_runs(),
        "distances": distances(),
        "limit": f"{iterations_limit(small_batch=256, large_batch=2560, efficiency=0.2):g}",
        "machines": machines(),
    }
    text = (HERE / "results.in").read_text()
    for name, value in made.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def table(heads: list[str], rows: Rows) -> str:
    """Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("  ", " ") for line in lines)


def read(file: Path) -> Any:
    """A JSON file."""
    return json.loads(file.read_text())


def link(record: Path) -> str:
    """To a record."""
    return f"[{record.name}](../records/{record.name})"


def of_tables() -> dict[str, tuple[Path, list[dict[str, Any]]]]:
    """By network the latest record of `sharpmin tables` on real data, and its rows."""
    found = {}
    for file in sorted(RECORDS.glob("*/rows.json")):
        rows = read(file)
        if isinstance(rows, list) and rows and "table" in rows[0] and not rows[0].get("synthetic"):
            found[rows[0]["network"]] = (file.parent, rows)
    return found


def of_plots(kind: str) -> dict[str, tuple[Path, ParametricPlot]]:
    """By network the record of `sharpmin plot` along this path on real data that trained longest, and its numbers."""
    found: dict[str, tuple[Path, ParametricPlot]] = {}
    for file in sorted(RECORDS.glob("*/rows.json")):
        rows = read(file)
        if isinstance(rows, dict) and {"job", "points", "final"} <= rows.keys():
            plot = load(file)
            _, longest = found.get(plot.job.network, (None, None))
            if (
                plot.job.path == kind
                and not plot.data["synthetic"]
                and (longest is None or epochs(plot) >= epochs(longest))
            ):
                found[plot.job.network] = (file.parent, plot)
    return found


def epochs(plot: ParametricPlot) -> int:
    """Of both trainings."""
    return plot.job.small_batch.epochs + plot.job.large_batch.epochs


def table_1() -> str:
    """Networks, weights counted, batches."""
    heads = ["network", "architecture", "data", "weights, ours", "small batch", "large batch"]
    rows = [
        [row.network, row.architecture, row.data, f"{row.weights:,}", f"{row.small_batch}", f"{row.large_batch:,}"]
        for row in configurations()
    ]
    return table(heads, rows)


def table_2() -> Rows:
    """Accuracies of each network and regime."""
    made = []
    for network, regime in ((n, r) for n in RECIPES for r in REGIMES):
        line = [network, regime]
        for part in ("train", "test"):
            line += [ours(network, 2, regime, f"{part} accuracy", None), spread(accuracy_cell(network, part, regime))]
        made.append(line + source(network, 2))
    return made


def sharpness_table(number: int, subspace: int | None) -> Rows:
    """Sharpness of each network and regime at both epsilons."""
    made = []
    for network, regime in ((n, r) for n in RECIPES for r in REGIMES):
        line = [network, regime]
        for epsilon in EPSILONS:
            theirs = sharpness_row(network, epsilon=epsilon, subspace=subspace) or {}
            line += [ours(network, number, regime, "sharpness", epsilon), spread(theirs.get(regime))]
        made.append(line + source(network, number))
    return made


def cells(network: str, number: int) -> list[dict[str, Any]]:
    """The recorded cells of a table."""
    _, rows = of_tables().get(network, (None, []))
    return [row for row in rows if row["table"] == number]


def ours(network: str, number: int, regime: str, quantity: str, epsilon: float | None) -> str:
    """A cell of ours, or that there is none."""
    wanted = {"regime": regime, "quantity": quantity, "epsilon": epsilon}
    found = [row for row in cells(network, number) if wanted.items() <= row.items()]
    return spread((found[0]["mean"], found[0]["deviation"])) if found else NONE


def source(network: str, number: int) -> list[str]:
    """How many trials, and where."""
    found = cells(network, number)
    return [str(len(found[0]["values"])), link(of_tables()[network][0])] if found else ["", ""]


def spread(value: tuple[float, float | None] | None) -> str:
    """Mean and deviation, two digits after the point; a single number where there is no deviation."""
    if value is None:
        return "-"
    mean, deviation = value
    return f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")


def figure_2() -> Rows:
    """The best and the last accuracies of the recorded trainings."""
    made = []
    for network in RECIPES:
        record, _ = of_plots("line").get(network, (None, None))
        for regime, name in zip(REGIMES, ("small_batch", "large_batch"), strict=True):
            file = record / f"{name}.history.jsonl" if record else None
            if record is None or file is None or not file.exists():
                made.append([network, regime, "", NONE, "", "", ""])
                continue
            history = [json.loads(line) for line in file.read_text().splitlines()]
            best, last = max(history, key=lambda epoch: epoch["test_accuracy"]), history[-1]
            percent = [f"{100 * last[f'{part}_accuracy']:.2f}" for part in ("test", "train")]
            shown = f"{100 * best['test_accuracy']:.2f} (epoch {best['epoch']})"
            made.append([network, regime, str(last["epoch"]), shown, *percent, link(record)])
    return made


def curves(kind: str) -> Rows:
    """The shape of the training loss along the path: ours, and where the authors published it theirs."""
    made = []
    known = published()["figure_3_parametric_curves"] if kind == "line" else {}
    for network in RECIPES:
        record, plot = of_plots(kind).get(network, (None, None))
        mine = shape({p.alpha: p.train_loss for p in plot.points}) if plot else [NONE, "", ""]
        theirs = ["-"] * 4
        if network in known:
            curve = figure_3(network)
            theirs = [*shape(dict(zip(curve.alphas, curve.train_loss, strict=True))), apart(curve, plot)]
        made.append([network, *mine, *theirs, link(record) if record else ""])
    return made


def apart(theirs: PublishedCurve, plot: ParametricPlot | None) -> str:
    """How far our train accuracies between the minimizers are from the authors', in percentage points."""
    if plot is None:
        return ""
    ours = plot.curve("train")
    return f"{difference(theirs, ours.alphas, ours.accuracies):.2f}"


def shape(loss: dict[float, float]) -> list[str]:
    """The rise an eighth beyond either minimizer, and the highest point between over the higher end."""
    between = max(value for alpha, value in loss.items() if 0 <= alpha <= 1)
    rises = (loss[-0.125] - loss[0.0], loss[1.125] - loss[1.0], between - max(loss[0.0], loss[1.0]))
    return [f"{rise:.4f}" for rise in rises]


def many_runs() -> str:
    """Every record of one of these figures, or of the table of remedies, on real data."""
    rows = []
    for figure, (verb, shows) in FIGURES.items():
        found = []
        for file in sorted(RECORDS.glob("*/rows.json")):
            recorded = read(file)
            if isinstance(recorded, dict) and verb in (recorded.get("figure"), recorded.get("table")):
                made = recorded["provenance"]
                if not made["data"]["synthetic"]:
                    scaled = f"; {made['scaled']}" if made["scaled"] else ""
                    found.append(f"{made['network']}, n = {len(made['seeds'])}{scaled}: {link(file.parent)}")
        rows.append([figure, shows, "; ".join(found) or NONE])
    return table(["", "", "ours"], rows)


def distances() -> str:
    """By network what the record's README says."""
    rows = []
    for network in RECIPES:
        record = of_tables().get(network, (None, []))[0]
        said = DISTANCES.search((record / "README.md").read_text()) if record else None
        rows.append([network, said["ours"] if said else NONE, "3 to 10", link(record) if said and record else ""])
    return table(["", "ours", "paper", "record"], rows)


def machines() -> str:
    """Each record used, and what it was computed on."""
    used = {record for record, _ in (*of_tables().values(), *of_plots("line").values(), *of_plots("arc").values())}
    rows = []
    for record in sorted(used):
        for e in read(record / "environment.json"):
            hardware = f"{e['processor']} ({e['instructions']}), {e['threads']} threads, {e['device']}"
            rows.append([link(record), hardware, f"PyTorch {e['torch']}, Python {e['python']}"])
    return table(["record", "hardware", "software"], rows)


if __name__ == "__main__":
    (HERE / "results.md").write_text(page())
