"""When a loss has ceased to improve."""

import pytest

from sharpmin.history import Epoch, has_converged


def falling(*losses):
    return tuple(Epoch(i, loss, 0.0, None, None, 0.0) for i, loss in enumerate(losses, 1))


@pytest.mark.parametrize(
    ("losses", "converged"),
    [
        ([1.0] * 10, False),  # too short to tell
        ([1.0] * 11, True),
        ([1.0, *[2.0] * 9, 0.98], False),  # 2% better in the last epoch of the ten
        ([1.0, *[2.0] * 9, 0.995], True),  # half a percent is not enough
        ([1.0, 0.5, *[2.0] * 10], True),
        ([1.0, *[0.0] * 11], True),  # nothing is below 0
        ([2e-4, *[1.5e-4] * 10], True),  # a quarter of almost nothing
        ([3e-4, *[1.5e-4] * 10], False),
    ],
)
def test_convergence_is_ten_epochs_without_an_improvement_that_counts(losses, converged):
    assert has_converged(falling(*losses)) == converged
