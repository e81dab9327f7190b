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

    Example:
        >>> budget = Budget.parse("images=5000,epochs=3")
        >>> budget
        Budget(images=5000, epochs=3, trials=None)
        >>> budget.scaled(images=50_000, epochs=20, trials=1)
        'scaled down: 5,000 of 50,000 images, 3 of 20 epochs'

    """

    images: int | None = None
    epochs: int | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        """Refuse a budget of nothing."""
        for name, most in asdict(self).items():
            if most is not None and most < 1:
                raise UsageError(f"--budget {name}={most}: give at least 1")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """The budget of a text such as "images=5000,epochs=3,trials=1"; of "" or "full", all.

        Raises:
            UsageError: another name, no number, or a name given twice.

        """
        found: dict[str, int] = {}
        for part in text.split(",") if text not in ("", "full") else ():
            name, _, number = (piece.strip() for piece in part.partition("="))
            if name not in cls.__dataclass_fields__ or name in found or not number.isdecimal():
                raise UsageError(
                    f"--budget {text}: give full, or some of images=N,epochs=N,trials=N, each once and a whole number"
                )
            found[name] = int(number)
        return cls(**found)

    def scaled(self, *, images: int, epochs: int, trials: int) -> str:
        """What is less than the recipe's own numbers, in words; empty where nothing is."""
        recipe = {"images": images, "epochs": epochs, "trials": trials}
        parts = [
            f"{most:,} of {recipe[name]:,} {name}"
            for name, most in asdict(self).items()
            if most is not None and most < recipe[name]
        ]
        return f"scaled down: {', '.join(parts)}" if parts else ""
