"""The tabs of a report: each a function of the story that gives a section, or None where nothing was measured."""

from collections.abc import Callable

from sharpmin.report.blocks import Section
from sharpmin.report.sections import (
    accuracy,
    connections,
    curvature,
    monitors,
    noise,
    path,
    planes,
    sharpness,
    training,
)
from sharpmin.report.sections import settings as how
from sharpmin.report.story import Story

Make = Callable[[Story], Section | None]

ORDER: tuple[tuple[Make, str, str], ...] = (
    (path.section, "The parametric plot", "sharpmin plot -n NETWORK"),
    (sharpness.section, "Sharpness", "sharpmin sharpness RUN"),
    (accuracy.section, "Accuracy at the minimizers", "sharpmin plot -n NETWORK --points 25"),
    (curvature.section, "The spectrum", "sharpmin spectrum RUN --trace --density"),
    (noise.section, "The gradient noise scale", "sharpmin noise-scale RUN"),
    (planes.section, "Planes", "sharpmin plane RUN"),
    (connections.section, "Connecting curves", "sharpmin connect RUN"),
    (monitors.section, "Measures along training", "a sharpmin.monitor.Monitor in the training loop; give its .jsonl"),
    (training.section, "The history of training", "sharpmin plot -n NETWORK"),
    (how.section, "Settings", ""),
)


def of(story: Story) -> tuple[list[Section], list[tuple[str, str]]]:
    """The sections there are, and for each that is missing the command that would make it."""
    made = [(make(story), name, command) for make, name, command in ORDER]
    return [s for s, *_ in made if s is not None], [(name, command) for s, name, command in made if s is None]
