import pytest

from sharpmin import data, zoo
from sharpmin.errors import UsageError
from sharpmin.paper.recipes import RECIPES, large_batch, recipe


def test_every_network_has_a_recipe_and_every_recipe_data():
    assert list(RECIPES) == list(zoo.NETWORKS)
    assert {r.data for r in RECIPES.values()} <= set(data.NAMES)


@pytest.mark.parametrize(("examples", "batch"), [(50_000, 5000), (60_000, 6000), (721_329, 72_132), (5, 1)])
def test_the_large_batch_is_a_tenth_of_the_training_set(examples, batch):
    assert large_batch(examples) == batch


def test_an_unknown_network_lists_the_choices():
    with pytest.raises(UsageError, match=r"'C5'.*F1, F2, C1"):
        recipe("C5")
