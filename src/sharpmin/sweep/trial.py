"""What a recipe is a list of: a run, described by everything that determines its bits."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sharpmin.errors import UsageError
from sharpmin.objective import Objective
from sharpmin.paper.jobs import Job, Single
from sharpmin.paper.recipes import recipe

Measure = Callable[[Objective], Any]


@dataclass(frozen=True)
class Trial:
    """A run of a sweep.

    Attributes:
        job: a pair from one x0 with the path between, or a single training.
        data: a data set's name, "synthetic" or a place on disk; the network's own by default.
        measures: what is measured at each minimizer afterwards: functions of an `Objective`, or partials of such with
            options by keyword, that return a dataclass. Module-level ones, for they travel to another process by name.
        iterates: epochs of a single training after which the weights are kept, and measured too; 0 is its start.

    Example:
        >>> from sharpmin.measures import sharpness
        >>> config = TrainConfig(batch_size=32, epochs=2)
        >>> Trial(Single("F1", 0, config), data="synthetic", measures=(partial(sharpness, epsilon=5e-4),)).source
        'synthetic'

    """

    job: Job | Single
    data: str | None = None
    measures: tuple[Measure, ...] = ()
    iterates: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a worker could not be told, or could not tell apart."""
        recipe(self.job.network)
        for measure in self.measures:
            named(measure)
        if self.iterates:
            check_iterates(self.job, self.iterates)

    @property
    def source(self) -> str:
        """The name of its data."""
        return self.data or recipe(self.job.network).data


def check_iterates(job: Job | Single, epochs: tuple[int, ...]) -> None:
    """Raise a UsageError for iterates that a training will not come to, or may not."""
    config, *other = job.configs
    if other or config.until_converged:
        raise UsageError("iterates are kept of a single training with a fixed number of epochs")
    if wrong := [epoch for epoch in epochs if not 0 <= epoch <= config.epochs]:
        raise UsageError(f"there is no iterate after epoch {wrong[0]} of {config.epochs}: choose from 0 on")


def named(measure: Measure) -> tuple[str, Mapping[str, Any]]:
    """A measure's name, and its options as a row of JSON gives them back.

    Raises:
        UsageError: another process could not find it (a lambda, a nested function, a method), or a row could not say
            what was asked.

    """
    function, options = measure, {}
    if isinstance(measure, partial) and not measure.args:
        function, options = measure.func, measure.keywords
    name = getattr(function, "__qualname__", "")
    if not name.isidentifier():
        raise UsageError(
            f"{measure!r} cannot be sent to a worker: give a function defined at the top of a module, "
            "or functools.partial of one with its options by keyword"
        )
    try:
        return name, json.loads(json.dumps(options))
    except TypeError as error:
        raise UsageError(
            f"the options of {name} go into its rows as JSON ({error}): give numbers and strings"
        ) from error
