"""How points are told apart: a colour of the style sheet and a marker, by their order."""

from sharpmin.report.blocks import Key
from sharpmin.report.chart import Guide
from sharpmin.report.story import Story

MARKS = ("circle", "triangle", "square", "diamond")
COLOURS = 6  # of the style sheet
PARTS = {"train": "Training set", "test": "Test set"}


def look(story: Story, point: str) -> str:
    """The class that colours a point."""
    return f"p{place(story, point) % COLOURS}"


def mark(story: Story, point: str) -> str:
    """A point's marker."""
    return MARKS[place(story, point) % len(MARKS)]


def place(story: Story, point: str) -> int:
    """Which of the points it is."""
    return story.points.index(point) if point in story.points else len(story.points)


def legend(story: Story, *, line: bool = False) -> tuple[Key, ...]:
    """The points in a legend, with their batch sizes where these are known."""
    return tuple(Key(named(story, point), look(story, point), mark(story, point), line) for point in story.points)


def named(story: Story, point: str) -> str:
    """Say "SB, batch 256"."""
    batch = story.batch(point)
    return point if batch is None else f"{point}, batch {batch}"


def guides(story: Story, ends: tuple[str, str]) -> tuple[Guide, ...]:
    """The two minimizers on a path."""
    known = [f"p{story.points.index(e) % COLOURS}" if e in story.points else f"p{at}" for at, e in enumerate(ends)]
    return tuple(Guide(float(at), end, colour) for at, (end, colour) in enumerate(zip(ends, known, strict=True)))
