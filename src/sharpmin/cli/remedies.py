"""The remedies of a training as options: which, by name, and their numbers, which are refused without their remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.errors import UsageError

REMEDY = Group("Remedies (see docs/remedies.md)", sort_key=2)
Name = Literal["augmentation", "conservative", "robust", "sam", "ghost-batch-norm", "warm-up", "growing-batch"]
OPTIONS: dict[Name, dict[str, str]] = {  # of each remedy: our option, and its name in `sharpmin.remedies`
    "augmentation": {"flip": "flip", "rotation": "rotation", "shift": "shift"},
    "conservative": {"proximal_strength": "strength", "proximal_iterations": "iterations"},
    "robust": {"adversarial_epsilon": "epsilon", "clean_share": "clean"},
    "sam": {"rho": "rho"},
    "ghost-batch-norm": {"ghost_batch": "size"},
    "warm-up": {"warm_up_epochs": "epochs", "reference_batch": "reference"},
    "growing-batch": {"first_batch": "start", "growth_factor": "factor", "growth_every": "every"},
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Remedies:
    """Options of a training with remedies.

    Parameters
    ----------
    remedy
        One or several: augmentation (images mirrored, turned, shifted), conservative (each batch a proximal
        sub-problem), robust (adversarial inputs too), sam (the gradient taken uphill), ghost-batch-norm (BatchNorm over
        parts of the batch), warm-up (a learning rate scaled with the batch), growing-batch (smaller batches at first).
    flip
        augmentation: mirror every second image; yes by default.
    rotation
        augmentation: the largest angle in degrees, 10 by default.
    shift
        augmentation: the longest way as a part of the size, 0.2 by default.
    proximal_strength
        conservative: lambda, 0.001 by default.
    proximal_iterations
        conservative: steps of the optimizer on a batch, 3 by default.
    adversarial_epsilon
        robust: the step of every input in its own units, 8/255 by default.
    clean_share
        robust: of the inputs as they are in the loss, 0.5 by default.
    rho
        sam: the distance uphill, 0.05 by default.
    ghost_batch
        ghost-batch-norm: examples normalised together, 128 by default.
    warm_up_epochs
        warm-up: until the scaled learning rate is reached, 5 by default.
    reference_batch
        warm-up: the batch size that --learning-rate is right for, 256 by default.
    first_batch
        growing-batch: examples per step at first, 256 by default; --batch-size is the last.
    growth_factor
        growing-batch: from one stage to the next, 5 by default.
    growth_every
        growing-batch: epochs of a stage, 5 by default.
    """

    remedy: Annotated[list[Name] | None, Parameter(group=REMEDY, consume_multiple=1, negative="")] = None
    flip: Annotated[bool | None, Parameter(group=REMEDY)] = None
    rotation: Annotated[float | None, Parameter(group=REMEDY)] = None
    shift: Annotated[float | None, Parameter(group=REMEDY)] = None
    proximal_strength: Annotated[float | None, Parameter(group=REMEDY)] = None
    proximal_iterations: Annotated[int | None, Parameter(group=REMEDY)] = None
    adversarial_epsilon: Annotated[float | None, Parameter(group=REMEDY)] = None
    clean_share: Annotated[float | None, Parameter(group=REMEDY)] = None
    rho: Annotated[float | None, Parameter(group=REMEDY)] = None
    ghost_batch: Annotated[int | None, Parameter(group=REMEDY)] = None
    warm_up_epochs: Annotated[int | None, Parameter(group=REMEDY)] = None
    reference_batch: Annotated[int | None, Parameter(group=REMEDY)] = None
    first_batch: Annotated[int | None, Parameter(group=REMEDY)] = None
    growth_factor: Annotated[float | None, Parameter(group=REMEDY)] = None
    growth_every: Annotated[int | None, Parameter(group=REMEDY)] = None


def chosen(options: Remedies | None) -> dict[str, Any]:
    """The remedies asked for, as fields of TrainConfig.

    Raises:
        UsageError: a number without its remedy, or one that makes no sense.

    """
    from sharpmin.train_config import REMEDIES

    options = options or Remedies()
    names: Sequence[Name] = options.remedy or []
    found = {}
    for name, numbers in OPTIONS.items():
        given = {field: getattr(options, option) for option, field in numbers.items()}
        given = {field: value for field, value in given.items() if value is not None}
        if given and name not in names:
            option = next(option for option, field in numbers.items() if field in given)
            raise UsageError(f"--{option.replace('_', '-')} is of a remedy: give --remedy {name} too")
        if name in names:
            found[name.replace("-", "_")] = REMEDIES[name.replace("-", "_")](**given)
    return found
