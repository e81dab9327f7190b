"""How much of a recipe is carried out: all of it, or fewer images, epochs and trials, said wherever it is shown.

The paper trained six networks five times until converged; two processors cannot always. A budget makes a recipe smaller
in the open: what it scaled is a sentence, and that sentence goes onto every figure and table made under it.
"""

from dataclasses import asdict, dataclass

from sharpmin.errors import UsageError


@dataclass(frozen=True)
class Budget:
    """The most of each that a recipe may take; None for as much as the recipe says.

    Attributes:
        images: training examples, a class-balanced subset; the large batch is a tenth of it.
        epochs: of each training.
        trials: seeds.
        test: test examples, a class-balanced subset.

    Example:
        >>> budget = Budget.parse("images=5000,epochs=3")
        >>> budget
        Budget(images=5000, epochs=3, trials=None, test=None)
        >>> budget.scaled(images=50_000, epochs=20, trials=1, test=10_000)
        'scaled down: 5,000 of 50,000 images, 3 of 20 epochs'

    """

    images: int | None = None
    epochs: int | None = None
    trials: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        """Refuse a budget of nothing."""
        for name, most in asdict(self).items():
            if most is not None and most < 1:
                raise UsageError(f"--budget {name}={most}: give at least 1")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """The budget of a text such as "images=5000,epochs=3,trials=1"; of "full", all.

        Raises:
            UsageError: another name, no number, or a name given twice.

        """
        found: dict[str, int] = {}
        for part in text.split(",") if text != "full" else ():
            name, _, number = (piece.strip() for piece in part.partition("="))
            if name not in cls.__dataclass_fields__ or name in found or not number.isdecimal():
                raise UsageError(
                    f"--budget {text!r}: give full, or some of images=N,epochs=N,trials=N,test=N, each once and a "
                    "whole number"
                )
            found[name] = int(number)
        return cls(**found)

    def extent(self, *, images: int, epochs: int, trials: int, test: int, seed: int = 0) -> "Extent":
        """What it leaves of a recipe of so many images, epochs, trials and test images; the first trial has this seed.

        Example:
            >>> left = Budget(images=5000, trials=2).extent(images=60_000, epochs=20, trials=5, test=10_000)
            >>> left.train_size, left.epochs, left.seeds, left.scaled
            (5000, 20, (0, 1), 'scaled down: 5,000 of 60,000 images, 2 of 5 trials')

        """
        used = min(images, self.images or images)
        return Extent(
            images=used,
            train_size=used if used < images else None,
            epochs=min(epochs, self.epochs or epochs),
            seeds=tuple(range(seed, seed + min(trials, self.trials or trials))),
            scaled=self.scaled(images=images, epochs=epochs, trials=trials, test=test),
            test_size=self.test if self.test and self.test < test else None,
        )

    def scaled(self, *, images: int, epochs: int, trials: int, test: int) -> str:
        """What is less than the recipe's own numbers, in words; empty where nothing is."""
        recipe = {"images": images, "epochs": epochs, "trials": trials, "test": test}
        parts = [
            f"{most:,} of {recipe[name]:,} {'test images' if name == 'test' else name}"
            for name, most in asdict(self).items()
            if most is not None and most < recipe[name]
        ]
        return f"scaled down: {', '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class Extent:
    """What a budget leaves of a recipe.

    Attributes:
        images: training examples; the large batch is a tenth of it.
        train_size: of the class-balanced subset, or None for all: as `Job` and `Single` take it.
        epochs: of each training.
        seeds: one for each trial.
        scaled: what is less than in the recipe, a sentence for every figure and table; empty where nothing is.
        test_size: of the class-balanced subset to test on, or None for all.

    """

    images: int
    train_size: int | None
    epochs: int
    seeds: tuple[int, ...]
    scaled: str
    test_size: int | None = None
