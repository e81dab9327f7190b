"""The share of the time, on a clock that only moves when told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpmin.monitor.budget import Budget


class Clock:
    """Seconds that pass when they are added."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def spend(budget, clock, seconds):
    with budget.spending():
        clock.now += seconds


def test_the_first_is_allowed_and_the_second_when_the_share_will_be_kept():
    clock = Clock()
    budget = Budget(0.1, clock)
    assert budget.allows()
    spend(budget, clock, 2)
    clock.now += 35.99  # 2 + 2 of 2 + 35.99 + 2 would be more than a tenth
    assert not budget.allows()
    clock.now += 0.01
    assert budget.allows()
    spend(budget, clock, 2)
    assert (budget.spent, budget.last, budget.elapsed) == (4, 2, pytest.approx(40))


@given(
    st.sampled_from([0.01, 0.1, 0.5, 0.9]),
    st.floats(0.01, 5),
    st.lists(st.floats(0.001, 3), min_size=1, max_size=60),
)
def test_measuring_at_a_constant_cost_keeps_the_share_from_the_second_time_on(share, cost, steps):
    clock = Clock()
    budget, taken = Budget(share, clock), 0
    for step in steps:
        clock.now += step
        if budget.allows():
            spend(budget, clock, cost)
            taken += 1
            assert taken == 1 or budget.spent <= share * budget.elapsed + 1e-9
    assert taken >= 1


def test_a_share_of_1_is_no_limit():
    clock = Clock()
    budget = Budget(1, clock)
    for _ in range(10):
        assert budget.allows()
        spend(budget, clock, 3)


def test_time_that_measuring_takes_counts_also_when_it_fails():
    clock = Clock()
    budget = Budget(0.5, clock)

    def fail():
        clock.now += 7
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), budget.spending():
        fail()
    assert (budget.spent, budget.last) == (7, 7)


def test_a_budget_goes_on_where_another_process_left_it():
    clock = Clock()
    budget = Budget(0.1, clock, elapsed=30, spent=3, last=1)
    assert not budget.allows()
    clock.now += 9
    assert budget.allows()
    assert budget.elapsed == 39
