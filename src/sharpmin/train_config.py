"""What determines the bits of a training, and which settings nobody can train with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from sharpmin.arithmetic import Precision
from sharpmin.errors import UsageError
from sharpmin.optimizers import check_rule, usual_rate
from sharpmin.remedies import SAM, Augmentation, Conservative, GhostBatchNorm, GrowingBatch, Robust, WarmUp
from sharpmin.remedies.augmentation import check_images
from sharpmin.remedies.growing import grown
from sharpmin.remedies.warm_up import warmed_up

REMEDIES = {
    "augmentation": Augmentation,
    "conservative": Conservative,
    "robust": Robust,
    "sam": SAM,
    "ghost_batch_norm": GhostBatchNorm,
    "warm_up": WarmUp,
    "growing_batch": GrowingBatch,
}
# Settings that came later, at what was meant before.
SINCE_ADAM = {"optimizer": "adam", "momentum": 0.0, **dict.fromkeys(REMEDIES)}


@dataclass(frozen=True)
class TrainConfig:
    """What determines the bits of a training run, beside its starting point and its data.

    Attributes:
        batch_size: examples per step.
        epochs: passes over the training set; with `until_converged`, the most it may take.
        learning_rate: of the optimizer; by default the rule's own, see `LEARNING_RATES`. A class by name has none.
        seed: of the shuffles, of dropout and of the augmentation.
        precision: arithmetic of the forward and backward pass, "tf32" on a GPU only; weights and moments are float32.
        until_converged: stop when the loss ceases to improve: see `has_converged`.
        patience: so many epochs without an improvement that counts, for `until_converged`.
        optimizer: "adam", "sgd", "adagrad", or a class by name, "package.module:Class".
        momentum: of "sgd".
        augmentation: how images are moved before each use; this and the following are remedies, None for none.
        conservative: the proximal sub-problem of each batch.
        robust: adversarial inputs beside the batch's own.
        sam: sharpness-aware minimisation.
        ghost_batch_norm: BatchNorm over parts of the batch.
        warm_up: a learning rate scaled with the batch, reached gradually.
        growing_batch: smaller batches at first.

    """

    batch_size: int = 256
    epochs: int = 20
    learning_rate: float = None  # type: ignore[assignment]  # a number from when it is made
    seed: int = 0
    precision: Precision = "float32"
    until_converged: bool = False
    patience: int = 10
    optimizer: str = "adam"
    momentum: float = 0.0
    augmentation: Augmentation | None = None
    conservative: Conservative | None = None
    robust: Robust | None = None
    sam: SAM | None = None
    ghost_batch_norm: GhostBatchNorm | None = None
    warm_up: WarmUp | None = None
    growing_batch: GrowingBatch | None = None

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", usual_rate(self.optimizer))

    def settings(self) -> dict[str, Any]:
        """The fields that a run folder is named by, alike for a run begun before there were optimizers and remedies."""
        later = {name for name, meant in SINCE_ADAM.items() if getattr(self, name) == meant}
        return {name: value for name, value in asdict(self).items() if name not in later}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "TrainConfig":
        """The configuration of such settings, as JSON gives them back.

        Example:
            >>> config = TrainConfig(batch_size=5000, sam=SAM(rho=0.1))
            >>> TrainConfig.of(config.settings()) == config
            True

        """
        kinds = {name: kind for name, kind in REMEDIES.items() if settings.get(name) is not None}
        return cls(**{**settings, **{name: kind(**settings[name]) for name, kind in kinds.items()}})

    @property
    def remedies(self) -> tuple[str, ...]:
        """The names of those it has.

        Example:
            >>> TrainConfig(sam=SAM(), augmentation=Augmentation()).remedies
            ('augmentation', 'sam')

        """
        return tuple(name for name in REMEDIES if getattr(self, name) is not None)

    def batch_of(self, epoch: int) -> int:
        """Examples per step in an epoch, counted from 1."""
        growing = self.growing_batch
        return self.batch_size if growing is None else grown(epoch, growing, batch_size=self.batch_size)

    def steps_until(self, epoch: int, *, examples: int) -> int:
        """Steps in all epochs up to and including this one.

        Example:
            >>> config = TrainConfig(batch_size=500, growing_batch=GrowingBatch(start=100, factor=5, every=1))
            >>> [config.steps_until(epoch, examples=1000) for epoch in (0, 1, 2, 3)]
            [0, 10, 12, 14]

        """
        return sum(-(-examples // self.batch_of(one)) for one in range(1, epoch + 1))

    def rate_of(self, done: int, *, examples: int) -> float:
        """The learning rate of the step after `done` steps."""
        if self.warm_up is None:
            return self.learning_rate
        steps = -(-examples // self.batch_size)
        return warmed_up(self.learning_rate, done, self.warm_up, batch_size=self.batch_size, steps=steps)


def check(config: TrainConfig, *, examples: int, shape: Sequence[int] | None = None) -> None:
    """Raise a UsageError for settings nobody can train with, on so many examples of that shape."""
    if not 1 <= config.batch_size <= examples:
        raise UsageError(
            f"batch size {config.batch_size} does not fit a training set of {examples} examples: "
            f"choose one from 1 to {examples}"
        )
    if config.epochs < 1:
        raise UsageError(f"{config.epochs} epochs: train for at least 1")
    if config.patience < 1:
        raise UsageError(f"patience {config.patience}: wait at least 1 epoch for an improvement")
    if config.seed < 0:
        raise UsageError(f"seed {config.seed}: it must be 0 or above")
    if not 0 < config.learning_rate < float("inf"):
        raise UsageError(f"learning rate {config.learning_rate}: it must be above 0, and finite")
    if config.precision not in get_args(Precision):
        raise UsageError(f"unknown precision {config.precision!r}: choose one of {', '.join(get_args(Precision))}")
    check_rule(config.optimizer)
    if not 0 <= config.momentum < 1:
        raise UsageError(f"momentum {config.momentum}: choose one from 0 to below 1")
    if config.momentum and config.optimizer != "sgd":
        raise UsageError(f"momentum {config.momentum} is of sgd: {config.optimizer} has none to choose")
    check_remedies(config, shape=shape)


def check_remedies(config: TrainConfig, *, shape: Sequence[int] | None) -> None:
    """Raise a UsageError for remedies that do not go with each other, or with the data."""
    if config.augmentation is not None and shape is not None:
        check_images(shape)
    growing = config.growing_batch
    if growing is not None and growing.start > config.batch_size:
        raise UsageError(
            f"first batch {growing.start}: a growing batch starts below the batch size {config.batch_size}"
        )
    if growing is not None and config.warm_up is not None:
        raise UsageError(
            "a growing batch keeps the learning rate that a warm-up would scale with it: choose one of them"
        )
