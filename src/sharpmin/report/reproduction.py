"""The whole paper on one page: each table and figure in its order, ours beside the published, what is missing and why.

The page is made of what lies on disk: run folders and figures' JSON. It needs no network, as every page of a report.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from markupsafe import Markup

from sharpmin import disk
from sharpmin.data.record import titled
from sharpmin.disk import read_object, readable
from sharpmin.errors import SharpminError
from sharpmin.paper.contents import CONTENTS, Entry
from sharpmin.paper.inputs import MADE_UP
from sharpmin.report.entries import WITHOUT_RUNS, Numbered, Part, blocks
from sharpmin.report.gathering import gather
from sharpmin.report.page import embedded_numbers, script, template, text
from sharpmin.report.verdict import verdict
from sharpmin.subjects import are_made_up

PAIRS = "Table 3"
"""The entry whose runs the verdict is of."""
CLAIMS = {
    "Figure 2": "large-batch training does not overfit: its test accuracy does not rise and then fall. Printed as "
    "curves.",
    "Figure 4": "after a batch size near 15,000 for F2 and 500 for C1 test accuracy drops a lot, and around it "
    "sharpness rises much less than before. Printed as curves.",
    "Figure 5": "started after a few small-batch epochs, large-batch training does not generalise better and stays "
    "sharp; after more of them accuracy improves and sharpness drops. Printed as curves.",
    "Figure 6": "at large losses both are about equally sharp; as the loss falls, sharpness rises in large-batch "
    "training, and in small-batch training it stays and then falls. Printed as curves.",
    "Figure 7": "printed as curves, of which no numbers were published.",
    "Appendix E": "in the words of section 4 these strategies do not completely correct the problem: they improve the "
    "generalization of large-batch methods but still lead to relatively sharp minima.",
}


@dataclass(frozen=True)
class Group:
    """An entry for one network.

    Attributes:
        network: its name; empty where the entry is of none.
        lead: on what, and what is less than in the recipe.
        problem: why there is nothing, or not all.
        blocks: tables and figures.

    """

    network: str
    lead: str
    problem: str
    blocks: tuple[Numbered, ...]


@dataclass(frozen=True)
class Chapter:
    """An entry of the paper on the page."""

    entry: Entry
    groups: tuple[Group, ...]

    @property
    def key(self) -> str:
        """Of its address on the page."""
        return self.entry.name.lower().replace(" ", "-").replace(".", "-")

    @property
    def claim(self) -> str:
        """What the paper says of it, where it printed no numbers."""
        return CLAIMS.get(self.entry.name, "")

    @property
    def standing(self) -> str:
        """For which networks it is made, in words."""
        made = [group.network for group in self.groups if group.blocks]
        failed = [group.network for group in self.groups if not group.blocks]
        parts = [", ".join(filter(None, made)) or "made"] if made else []
        return "; ".join([*parts, *([f"failed: {', '.join(failed)}"] if failed else [])]) or "not made"


def write(parts: Sequence[Part], skipped: Sequence[tuple[str, str]], file: Path, *, command: str) -> None:
    """Write the page.

    Args:
        parts: what was made, or failed, of each network's entries.
        skipped: networks that were left out, each with the reason.
        file: where to; it appears whole or not at all.
        command: that makes it.

    Raises:
        RunError: the file cannot be written.

    """
    disk.write(Path(file), page(parts, skipped, command=command).encode())


def page(parts: Sequence[Part], skipped: Sequence[tuple[str, str]], *, command: str) -> str:
    """The whole file; the same parts give the same text."""
    chapters = [chapter(entry, parts) for entry in CONTENTS]
    shown = [block for one in chapters for group in one.groups for block in group.blocks]
    return template("paper.html").render(
        chapters=chapters,
        skipped=skipped,
        command=command,
        verdicts=list(verdicts(parts)),
        scaled=any(part.scaled for part in parts),
        made_up=MADE_UP if any(map(is_made_up, parts)) else "",
        version=version("sharpmin"),
        style=Markup(text("page.css")),
        script=script("theme", "numbers"),
        numbers=embedded_numbers([block.numbers for block in shown]),
    )


def chapter(entry: Entry, parts: Sequence[Part]) -> Chapter:
    """All that there is of an entry."""
    if entry.name in WITHOUT_RUNS:
        return Chapter(entry, (Group("", "", "", (WITHOUT_RUNS[entry.name](),)),))
    return Chapter(entry, tuple(group(entry.name, part) for part in parts if entry.name in part.entries))


def group(entry: str, part: Part) -> Group:
    """An entry for one network; what cannot be read is told in its place."""
    if part.problem:
        return Group(part.network, "", part.problem, ())
    try:
        return Group(part.network, lead(part), "", tuple(blocks(entry, part)))
    except SharpminError as error:
        return Group(part.network, "", str(error), ())


def lead(part: Part) -> str:
    """On what, how many trials, and what is less than in the recipe."""
    if not part.runs:
        return "; ".join(filter(None, [part.network, part.scaled]))
    data = read_object(part.runs[0] / "settings.json", ("data",))["data"]
    names = ", ".join(folder.name for folder in part.runs)
    trials = f"{len(part.runs)} {'trial' if len(part.runs) == 1 else 'trials'} ({names})"
    return "; ".join(filter(None, [f"{part.network} on {titled(data)}, {trials}", part.scaled]))


def is_made_up(part: Part) -> bool:
    """Whether its data are."""
    if are_made_up(part.runs) or part.figure is None:
        return are_made_up(part.runs)
    with readable(part.figure):
        return read_object(part.figure, ("provenance",))["provenance"]["data"]["synthetic"]


def verdicts(parts: Sequence[Part]) -> Iterator[str]:
    """For each network whose minimizers were measured, which is sharper."""
    for part in parts:
        if PAIRS in part.entries and part.runs and not part.problem:
            yield f"{part.network}: {verdict(gather(part.runs)).headline}"
