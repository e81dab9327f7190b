"""`sharpmin paper remedies`: appendix E, from many trainings; Figures/NETWORK-remedies.md and .json."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Group, Parameter

from sharpmin.cli.measuring import show
from sharpmin.cli.remedies import Name
from sharpmin.cli.reproducing import RECIPE, Reproduction, carried_out, command, extent
from sharpmin.cli.saving import keep_earlier

OWN = Group("Of this table", sort_key=0)


def remedies(
    *,
    options: Reproduction,
    remedies: Annotated[list[Name] | None, Parameter(group=OWN, consume_multiple=1, negative="")] = None,
    epsilon: Annotated[float, Parameter(group=RECIPE)] = 1e-3,
) -> None:
    """Appendix E and later: do remedies lead large batches to minimizers that generalise, and to flat ones?

    Trains with small batches, with large ones, and with large ones and each remedy, from the same starting points, 20
    epochs by default; measures accuracy and Metric 2.1 at each solution; prints their mean and standard deviation and
    saves Figures/NETWORK-remedies.md and .json. Interrupted, the same command goes on with what is missing.

    Parameters
    ----------
    options
        See `sharpmin.cli.reproducing`.
    remedies
        Which of them; all by default, but for augmentation where the network learns no images.
    epsilon
        Half-width of Metric 2.1's box; the paper has 0.001 and 0.0005.
    """
    from rich.table import Table

    from sharpmin.paper import remedies as recipe
    from sharpmin.paper import remedy_table
    from sharpmin.paper.finished import provenance
    from sharpmin.paper.recipes import recipe as training
    from sharpmin.train_config import TrainConfig

    left = extent(options, epochs=training(options.network).epochs)
    config = TrainConfig(precision=options.precision)
    made = recipe.configurations(options.network, left, chosen=remedies, config=config)
    planned = carried_out(recipe.trials(options.network, left, made, epsilon=epsilon, data=options.data), options)
    asked = command("remedies", options, remedies=remedies, epsilon=epsilon)
    origin = provenance(planned, left, network=options.network, epsilons=[epsilon], command=asked)
    table = recipe.gather(planned, list(made), origin)
    shown = Table(*remedy_table.COLUMNS, box=None)
    for line in remedy_table.lines(table):
        shown.add_row(*line)
    print(origin.title, origin.note, sep="\n")
    show(shown)
    stem = options.out / "Figures" / f"{options.network}-remedies"
    keep_earlier(stem, {"table": "remedies", **asdict(table)})
    remedy_table.save(table, stem)
    print(f"Table saved as {stem}.md and .json")
