"""What the verbs that train networks of the paper share: their options, and from them the data and a TrainConfig."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from sharpmin.train_config import TrainConfig

TRAINING = Group("Training", sort_key=1)
PLACE = Group("Where and how", sort_key=4)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every training verb.

    Parameters
    ----------
    network
        F1, F2, C1, C2, C3 or C4.
    epochs
        Passes over the training set, 20 by default; with --until-converged the most it may take (200).
    until_converged
        Stop a training when its loss ceases to improve: when the lowest training loss came down by less than 1%, or by
        less than 0.0001, in the last --patience epochs.
    patience
        Epochs without an improvement before --until-converged stops.
    learning_rate
        Of the optimizer; by default Keras's: 0.001 for Adam, 0.01 for the others.
    seed
        Of the starting point, the shuffles, dropout and the subset.
    precision
        Arithmetic of training, tf32 on a GPU only; the evaluation is always in float32.
    data
        A data set by name instead of the network's own, "synthetic" for made-up data of the network's shape,
        a folder that holds the files, or for F2 your speech frames (an .npz, or a folder of Kaldi's archives).
    train_size
        Use a fixed, seeded, class-balanced subset of so many training examples.
    out
        Folder for Figures/ and runs/.
    device
        cpu, cuda, cuda:N or auto.
    threads
        Processor threads; by default OMP_NUM_THREADS, else all that this process may use.
    quiet
        No progress.
    """

    network: Annotated[str, Parameter(name=["--network", "-n"])]
    epochs: Annotated[int | None, Parameter(group=TRAINING)] = None
    until_converged: Annotated[bool, Parameter(group=TRAINING, negative="")] = False
    patience: Annotated[int, Parameter(group=TRAINING)] = 10
    learning_rate: Annotated[float | None, Parameter(group=TRAINING)] = None
    seed: Annotated[int, Parameter(group=TRAINING)] = 0
    precision: Annotated[Literal["float32", "tf32", "bfloat16"], Parameter(group=TRAINING)] = "float32"
    data: Annotated[str | None, Parameter(group=TRAINING)] = None
    train_size: Annotated[int | None, Parameter(group=TRAINING)] = None
    out: Annotated[Path, Parameter(group=PLACE)] = Path()
    device: Annotated[str, Parameter(group=PLACE)] = "cpu"
    threads: Annotated[int | None, Parameter(group=PLACE)] = None
    quiet: Annotated[bool, Parameter(group=PLACE, negative="")] = False


def config(options: Options, *, batch_size: int, optimizer: str = "adam", **others: Any) -> "TrainConfig":
    """How a training of that batch size goes; `others` are fields of TrainConfig."""
    from sharpmin.paper.recipes import recipe
    from sharpmin.train_config import TrainConfig

    usual = 200 if options.until_converged else recipe(options.network).epochs
    return TrainConfig(
        batch_size=batch_size,
        epochs=usual if options.epochs is None else options.epochs,
        learning_rate=options.learning_rate,  # type: ignore[arg-type]  # None for the rule's own
        seed=options.seed,
        precision=options.precision,
        until_converged=options.until_converged,
        patience=options.patience,
        optimizer=optimizer,
        **others,
    )


def load(options: Options, *, progress: Any) -> Any:
    """The data set that is trained on."""
    from sharpmin.paper.inputs import load_data
    from sharpmin.paper.recipes import recipe

    name = options.data or recipe(options.network).data
    return load_data(options.network, name, train_size=options.train_size, seed=options.seed, progress=progress)
