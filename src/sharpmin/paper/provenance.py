"""What a figure of many runs carries with its numbers: on what, how much of the recipe, by which command, where."""

from dataclasses import dataclass
from typing import Any

from sharpmin.paper.inputs import titled

Row = dict[str, Any]


@dataclass(frozen=True)
class Provenance:
    """What the numbers of a figure were made from.

    Attributes:
        network: of the paper.
        data: the data set of the first run as its folder records it: its name, sizes, and whether it is synthetic.
        seeds: one for each trial.
        epochs: of each training.
        epsilon: of Metric 2.1.
        scaled: what is less than in the recipe, a sentence; empty where nothing is.
        command: that computes the same numbers.
        environments: versions and hardware, one for each that a run was computed in.
        runs: the names of the run folders.

    """

    network: str
    data: dict[str, Any]
    seeds: tuple[int, ...]
    epochs: int
    epsilon: float
    scaled: str
    command: str
    environments: tuple[Row, ...]
    runs: tuple[str, ...]

    @property
    def title(self) -> str:
        """Network, data, epochs and the number of trials."""
        return f"{self.network} on {titled(self.data)}, {self.epochs} epochs, n = {len(self.seeds)}"

    @property
    def note(self) -> str:
        """The line below the figure: epsilon, and what is less than in the recipe."""
        return "; ".join(filter(None, [f"Metric 2.1, epsilon = {self.epsilon:g}, full space", self.scaled]))
