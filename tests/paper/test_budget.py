"""A budget: what it lets through, what it says, what it refuses."""

import pytest

from sharpmin.errors import UsageError
from sharpmin.paper.budget import Budget, Extent


def test_everything():
    assert Budget.parse("full") == Budget()
    assert Budget.parse("full").scaled(images=10, epochs=10, trials=5, test=10) == ""


def test_says_only_what_is_less():
    budget = Budget.parse("images=60000, epochs=5 ,trials=1")
    assert budget == Budget(60_000, 5, 1)
    recipe = {"images": 60_000, "epochs": 200, "trials": 5, "test": 10_000}
    assert budget.scaled(**recipe) == "scaled down: 5 of 200 epochs, 1 of 5 trials"
    assert Budget.parse("test=1000").scaled(**recipe) == "scaled down: 1,000 of 10,000 test images"


@pytest.mark.parametrize("text", ["", "5000", "images=", "images=-3", "images=1.5", "epochs=1,epochs=2", "size=3"])
def test_refuses(text):
    with pytest.raises(UsageError, match="whole number"):
        Budget.parse(text)


@pytest.mark.parametrize("name", ["images", "epochs", "trials", "test"])
def test_refuses_nothing_at_all(name):
    with pytest.raises(UsageError, match=f"{name}=0"):
        Budget.parse(f"{name}=0")


def test_what_it_leaves_of_a_recipe():
    recipe = {"images": 60, "epochs": 20, "trials": 5, "test": 30, "seed": 3}
    assert Budget().extent(**recipe) == Extent(60, None, 20, (3, 4, 5, 6, 7), "")
    assert Budget(60, 30, 9, 30).extent(**recipe) == Budget().extent(**recipe)
    said = "scaled down: 40 of 60 images, 2 of 20 epochs, 1 of 5 trials, 20 of 30 test images"
    assert Budget(40, 2, 1, 20).extent(**recipe) == Extent(40, 40, 2, (3,), said, test_size=20)
