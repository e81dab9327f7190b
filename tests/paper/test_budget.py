"""A budget: what it lets through, what it says, what it refuses."""

import pytest

from sharpmin.errors import UsageError
from sharpmin.paper.budget import Budget


@pytest.mark.parametrize("text", ["", "full"])
def test_everything(text):
    assert Budget.parse(text) == Budget()
    assert Budget.parse(text).scaled(images=10, epochs=10, trials=5) == ""


def test_says_only_what_is_less():
    budget = Budget.parse("images=60000, epochs=5 ,trials=1")
    assert budget == Budget(60_000, 5, 1)
    assert budget.scaled(images=60_000, epochs=200, trials=5) == "scaled down: 5 of 200 epochs, 1 of 5 trials"


@pytest.mark.parametrize("text", ["5000", "images=", "images=-3", "images=1.5", "epochs=1,epochs=2", "size=3"])
def test_refuses(text):
    with pytest.raises(UsageError, match="whole number"):
        Budget.parse(text)


@pytest.mark.parametrize("name", ["images", "epochs", "trials"])
def test_refuses_nothing_at_all(name):
    with pytest.raises(UsageError, match=f"{name}=0"):
        Budget.parse(f"{name}=0")
