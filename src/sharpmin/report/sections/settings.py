"""How all of this was made: settings, seeds, machines and versions, and the files that were read."""

from sharpmin.report.blocks import Numbers, Section, Table, shown, table
from sharpmin.report.story import Row, Story
from sharpmin.trials import without_seeds


def section(story: Story) -> Section | None:
    """The tab."""
    blocks = []
    if story.trials:
        blocks += [common(story), trials(story)]
    if environments := list(with_trials(story)):
        blocks.append(machines(environments))
    sources = Numbers("sources", ("read",), tuple((source,) for source in story.sources))
    blocks.append(table("Read for this page", sources, heads=("file or folder",)))
    return Section("settings", "Settings", "", tuple(blocks))


def common(story: Story) -> Table:
    """What all trials share."""
    settings = without_seeds(story.trials[0].settings)
    rows = tuple((key.replace("_", " ").replace(".", ": "), plain(value)) for key, value in settings.items())
    return Table(
        "Settings", ("", ""), tuple((k, shown(v)) for k, v in rows), Numbers("settings", ("setting", "value"), rows)
    )


def plain(value: object) -> object:
    """A setting that fits into a cell."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def trials(story: Story) -> Table:
    """The folders."""
    columns = ("trial", "folder", "seed", "data sha1")
    rows = tuple(
        (t.name, t.folder, t.settings.get("seed"), t.settings.get("data", {}).get("sha1")) for t in story.trials
    )
    return table("Trials", Numbers("trials", columns, rows))


def with_trials(story: Story) -> list[tuple[Row, list[str]]]:
    """Every distinct machine and version, with the trials it worked on."""
    found: list[tuple[Row, list[str]]] = []
    for trial in story.trials:
        for environment in trial.environments:
            names = next((names for known, names in found if known == environment), None)
            if names is None:
                found.append((environment, [trial.name]))
            elif trial.name not in names:
                names.append(trial.name)
    return found


def machines(environments: list[tuple[Row, list[str]]]) -> Table:
    """A row a machine."""
    keys = tuple(dict.fromkeys(key for environment, _ in environments for key in environment))
    rows = tuple(
        (*(plain(environment.get(key)) for key in keys), ", ".join(names)) for environment, names in environments
    )
    return table("Machines and versions", Numbers("environments", (*keys, "trials"), rows))
