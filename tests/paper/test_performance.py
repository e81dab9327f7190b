"""The performance model against the paper's example and against the inequality it came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpmin.errors import UsageError
from sharpmin.paper.performance import iterations_limit, speedup

BATCHES = st.integers(1, 10_000)


def test_the_papers_example():
    assert iterations_limit(small_batch=100, large_batch=1000, efficiency=0.2) == 0.5


@given(BATCHES, BATCHES, st.floats(0.01, 1), st.floats(1, 1e6), st.floats(1, 1e6), st.integers(1, 1000))
def test_the_speedup_is_the_ratio_of_the_two_times(one, other, efficiency, small_iterations, large_iterations, p):
    small, large = sorted((one, other))
    small_time = small_iterations * small / (p * efficiency)
    large_time = large_iterations * large / p
    how = {"small_batch": small, "large_batch": large, "efficiency": efficiency}
    found = speedup(**how, small_iterations=small_iterations, large_iterations=large_iterations)
    assert found == pytest.approx(small_time / large_time)
    assert (found > 1) == (large_iterations / small_iterations < iterations_limit(**how)) or found == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"small_batch": 500, "large_batch": 100, "efficiency": 0.5}, "small batch <= large batch"),
        ({"small_batch": 1, "large_batch": 2, "efficiency": 0.0}, "above 0 and is at most 1"),
        ({"small_batch": 1, "large_batch": 2, "efficiency": float("nan")}, "above 0 and is at most 1"),
    ],
)
def test_bad_input(given, says):
    with pytest.raises(UsageError, match=says):
        iterations_limit(**given)
    with pytest.raises(UsageError, match=r"both must be above 0"):
        speedup(small_batch=1, large_batch=2, efficiency=0.5, small_iterations=0, large_iterations=1)
