"""What every data set is once it has been read: tensors, and nothing about files."""

from dataclasses import dataclass

from torch import Tensor

from sharpmin.errors import UsageError


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs and their classes, in a fixed order.

    `inputs` is float32, the example along the first axis: images [N, C, H, W] with pixels divided by 255 and
    nothing else, speech frames [N, 360]. `targets` is int64, [N].
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        if self.targets.ndim != 1 or len(self.inputs) != len(self.targets):
            raise UsageError(
                f"inputs {list(self.inputs.shape)} and targets {list(self.targets.shape)} do not pair up: "
                "give one target for each input"
            )

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class Split:
    """A data set with its training and test halves.

    `source` says which files were read and how they were verified, without naming a place on this machine,
    so that it can go into a record. `synthetic` is true where no real data is involved.
    """

    name: str
    train: Examples
    test: Examples
    classes: int
    synthetic: bool
    source: str
