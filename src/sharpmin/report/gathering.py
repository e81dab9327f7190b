"""Read run folders and result files into a Story, of which the sections then tell.

Run folders that differ in more than their seed do not make one mean, so they do not make one report.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharpmin.disk import read_json, read_list, read_object, readable
from sharpmin.errors import RunError, UsageError
from sharpmin.history import epochs_in_words
from sharpmin.paper.grids import grids
from sharpmin.paper.jobs import REGIMES
from sharpmin.report.story import Connection, Curve, Lines, Plane, Row, Story, Trial
from sharpmin.runs import Run
from sharpmin.subjects import check_pair, is_single, labels
from sharpmin.trials import check_alike

NEEDED = {
    "sharpness": ("minimizer", "value", "loss", "max_loss", "first_order", "epsilon", "status"),
    "spectrum": ("minimizer", "eigenvalues", "residuals", "converged"),
    "density": ("minimizer", "grid", "density", "standard_error"),
    "noise-scale": ("minimizer", "value", "standard_error", "lower_bound", "status"),
}
PLACE = ("alpha", "train_loss", "train_accuracy", "test_loss", "test_accuracy")
EPOCH = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def gather(sources: Sequence[Path]) -> Story:
    """Read everything below these run folders and in these result files.

    Args:
        sources: run folders, and files such as Figures/NAME.json.

    Returns:
        The story, its trials in the order of their seeds.

    Raises:
        UsageError: no sources, or runs that differ in more than their seed.
        RunError: something is not ours or is broken; the message names it.

    """
    if not sources:
        raise UsageError("give run folders (runs/NAME-...) or result files (Figures/NAME.json)")
    folders = [source for source in sources if source.is_dir()]
    trials = tuple(sorted(map(trial, folders), key=lambda found: (found.settings.get("seed", 0), found.name)))
    check_alike({one.folder: {**one.settings, "points": ", ".join(one.points)} for one in trials})
    story = Story(distinct(trials))
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            story = with_file(story, file, strict=False)
    for file in (source for source in sources if not source.is_dir()):
        story = with_file(story, file, strict=True)
    return replace(story, sources=tuple(str(source) for source in sources))


def elsewhere(source: Path) -> str | None:
    """Why a result of ours has no place in a report of two minimizers; None where it may have one.

    `runs/F1-*` and `Figures/*.json` name these too, once other verbs have been at work.

    Raises:
        RunError: it cannot be read.

    """
    if source.is_dir():
        settings = source / "settings.json"
        return "a single training" if settings.exists() and is_single(read_object(settings)) else None
    many = source.suffix == ".json" and has(read_json(source), "provenance")
    return "of many trainings, for the page of sharpmin paper all" if many else None


def trial(folder: Path) -> Trial:
    """One run folder."""
    settings_file = folder / "settings.json"
    if not settings_file.exists():
        raise RunError(f"{folder} is not a run folder (no settings.json): give one that sharpmin made")
    settings = read_object(settings_file)
    check_pair(folder, settings)
    with readable(settings_file):
        ours, name, points = identified(settings)
    rows = {kind: lines(folder / f"{kind}.jsonl", needs) for kind, needs in NEEDED.items()}
    points = points or tuple(dict.fromkeys(row["minimizer"] for found in rows.values() for row in found))
    compared = folder / "compare.json"
    environments = folder / "environment.json"
    return Trial(
        name=name,
        folder=str(folder),
        settings=settings,
        points=points,
        unfinished=tuple(p for p, n in REGIMES.items() if ours and not (folder / f"{n}.safetensors").exists()),
        histories={point: lines(folder / f"{part}.history.jsonl", EPOCH) for point, part in REGIMES.items()},
        curves=tuple(curves(folder, name)),
        sharpness=rows["sharpness"],
        spectrum=rows["spectrum"],
        density=rows["density"],
        noise_scale=rows["noise-scale"],
        comparison=checked(compared, read_json(compared)) if compared.exists() else None,
        environments=unlike(
            [
                *(read_list(environments) if environments.exists() else []),
                *(row["environment"] for found in rows.values() for row in found if "environment" in row),
            ]
        ),
    )


def identified(settings: Row) -> tuple[bool, str, tuple[str, ...]]:
    """Whether it is a run of sharpmin plot, what it is called, and its points; a KeyError where it is neither kind."""
    if "network" not in settings:
        return False, settings["task"], tuple(labels(list(settings["checkpoints"])))
    settings["data"]["name"], *(settings[part]["batch_size"] for part in REGIMES.values())
    return True, f"seed {settings['seed']}", tuple(REGIMES)


def lines(file: Path, needed: Sequence[str]) -> tuple[Row, ...]:
    """The rows of a JSON Lines file, each with the keys needed; none where there is no such file."""
    return tuple(Run(file.parent).read_lines(file.name, needed))


def curves(folder: Path, name: str) -> Iterator[Curve]:
    """What was evaluated between the two minimizers of a run of sharpmin plot."""
    for grid in grids(folder):
        rows = lines(folder / grid.file, PLACE)
        yield Curve(name, grid.path, ("SB", "LB"), rows, grid.points, "batch", grid.batch)


def checked(file: Path, compared: Any) -> Row:
    """What `sharpmin compare` left, with the keys needed; the value of a spectrum is its largest eigenvalue."""
    with readable(file):
        readings = [{**r, "value": r["value"] if "value" in r else r["eigenvalues"][0]} for r in compared["readings"]]
        for reading in readings:
            reading["measure"], reading["minimizer"]
        for standing in compared["points"]:
            standing["point"], standing["loss"]
        compared["verdict"], compared["caveats"]
    return {**compared, "readings": readings}


def unlike(values: Sequence[Row]) -> tuple[Row, ...]:
    """The distinct ones, in order."""
    return tuple(value for place, value in enumerate(values) if value not in values[:place])


def distinct(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials, those of one name told apart by their folders."""
    names = [trial.name for trial in trials]
    if len({Path(trial.folder).resolve() for trial in trials}) < len(trials):
        raise UsageError("the same run folder is named twice")
    return tuple(replace(t, name=f"{t.name} ({Path(t.folder).name})") if names.count(t.name) > 1 else t for t in trials)


def with_file(story: Story, file: Path, *, strict: bool) -> Story:
    """The story with what a result file adds; where it is not a result of ours, a RunError or nothing."""
    if file.suffix == ".jsonl":
        rows = lines(file, ("step",))
        return replace(story, monitors=(*story.monitors, (file.stem, rows)))
    content = read_json(file)
    with readable(file):
        if has(content, "job", "points", "final"):
            curve = of_figure(content)
            known = [known.rows for trial in story.trials for known in trial.curves]
            return story if curve.rows in known else replace(story, paths=(*story.paths, curve))
        if has(content, "ends", "curve", "train"):
            return replace(story, connections=(*story.connections, *of_connection(content)))
        if has(content, "ends", "train", "test"):
            return replace(story, paths=(*story.paths, of_path(content)))
        if has(content, "plane"):
            return replace(story, planes=(*story.planes, of_plane(content, file.stem)))
        if has(content, "lines"):
            return replace(story, lines=(*story.lines, of_lines(content, file.stem)))
    if strict:
        raise RunError(f"{file} is not a result that sharpmin wrote: give a run folder or a .json from Figures/")
    return story


def has(content: Any, *keys: str) -> bool:
    """Whether this is an object with these keys."""
    return isinstance(content, dict) and all(key in content for key in keys)


def of_figure(content: Row) -> Curve:
    """The curve of a parametric plot's JSON."""
    job = content["job"]
    rows = tuple({key: row[key] for key in PLACE} for row in content["points"])
    return Curve(
        f"{job['network']}, seed {job['seed']}",
        job["path"],
        ("SB", "LB"),
        rows,
        job["points"],
        "batch",
        job["evaluation_batch"],
    )


def of_path(content: Row) -> Curve:
    """The curve of a path's JSON."""
    train, test = content["train"], content["test"]
    nothing = [None] * len(train["alphas"])
    columns = [train["alphas"], train["losses"], train["accuracies"]]
    columns += [test["losses"], test["accuracies"]] if test else [nothing, nothing]
    rows = tuple(dict(zip(PLACE, row, strict=True)) for row in zip(*columns, strict=True))
    ends = tuple(content["ends"])
    return Curve(
        content["task"], train["kind"], (ends[0], ends[1]), rows, len(rows), train["batch_norm"], train["batch_size"]
    )


def of_plane(content: Row, name: str) -> Plane:
    """A plane's JSON."""
    plane = content["plane"]
    needed = ("kind", "alphas", "betas", "losses", "accuracies", "marks")
    shape = {key: plane[key] for key in needed}
    for row in shape["losses"]:
        if len(row) != len(shape["alphas"]):
            raise ValueError(f"a row of {len(row)} losses over {len(shape['alphas'])} alphas")
    how = {key: value for key, value in plane.items() if key not in needed}
    return Plane(name=titled(content, name), **shape, how=how)


def of_lines(content: Row, name: str) -> Lines:
    """The JSON of random lines."""
    lines = content["lines"]
    if any(len(row) != len(lines["alphas"]) for row in lines["losses"]):
        raise ValueError("a line has not a loss for each alpha")
    how = {key: value for key, value in lines.items() if key not in ("alphas", "losses")}
    return Lines(titled(content, name), lines["alphas"], lines["losses"], how)


def titled(content: Row, name: str) -> str:
    """Whose, what, and on which data."""
    on = content.get("asked", {}).get("on", "data")
    return f"{content['task']}, {name.removesuffix('-test')}, on the {'test data' if on == 'test' else 'data'}"


def of_connection(content: Row) -> Iterator[Connection]:
    """A connecting curve's JSON: one on the data and, where there are any, one on the test data."""
    for part, label in (("train", "data"), ("test", "test data")):
        if (found := content.get(part)) is None:
            continue
        config, line = found["config"], found["line"]
        policies = f"BatchNorm: {found['batch_norm']}, in its training {found['training_batch_norm']}"
        yield Connection(
            name=f"{content['task']}, {config['kind']}, bends: {config['bends']}, on the {label}",
            ends=(content["ends"][0], content["ends"][1]),
            ts=found["ts"],
            losses=found["losses"],
            accuracies=found["accuracies"],
            line_losses=line["losses"],
            line_accuracies=line["accuracies"],
            note=f"{epochs_in_words(config['epochs'])} of {config['solver']}; {policies}.",
        )
