"""What a figure of many runs carries with its numbers: on what, how much of the recipe, by which command, where."""

from dataclasses import dataclass
from typing import Any, Self

from sharpmin.data.record import titled
from sharpmin.history import epochs_in_words

Row = dict[str, Any]


@dataclass(frozen=True)
class Provenance:
    """What the numbers of a figure were made from.

    Attributes:
        network: of the paper.
        data: the data set of the first run as its folder records it: its name, sizes, and whether it is synthetic.
        seeds: one for each trial.
        epochs: of each training.
        epsilons: of Metric 2.1.
        scaled: what is less than in the recipe, a sentence; empty where nothing is.
        command: that computes the same numbers.
        environments: versions and hardware, one for each that a run was computed in.
        runs: the names of the run folders.

    """

    network: str
    data: dict[str, Any]
    seeds: tuple[int, ...]
    epochs: int
    epsilons: tuple[float, ...]
    scaled: str
    command: str
    environments: tuple[Row, ...]
    runs: tuple[str, ...]

    @classmethod
    def read(cls, raw: Row) -> Self:
        """From JSON, where earlier versions wrote their one epsilon as a number."""
        made = {name: value for name, value in raw.items() if name != "epsilon"}
        if "epsilon" in raw:
            made["epsilons"] = [raw["epsilon"]]
        several = {name: tuple(made[name]) for name in ("seeds", "epsilons", "environments", "runs")}
        return cls(**{**made, **several})

    @property
    def title(self) -> str:
        """Network, data, epochs and the number of trials."""
        return f"{self.network} on {titled(self.data)}, {epochs_in_words(self.epochs)}, n = {len(self.seeds)}"

    @property
    def note(self) -> str:
        """The line below the figure: the epsilons, and what is less than in the recipe."""
        epsilons = " and ".join(f"{epsilon:g}" for epsilon in self.epsilons)
        return "; ".join(filter(None, [f"Metric 2.1, epsilon = {epsilons}, full space", self.scaled]))
