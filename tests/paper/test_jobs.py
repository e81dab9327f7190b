"""What is trained is refused at once where it makes no sense."""

from dataclasses import replace

import pytest

from cases import tiny_job
from sharpmin.errors import UsageError


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"points": 1}, "at least 2"),
        ({"path": "spiral"}, "line, arc"),
        ({"evaluation_batch": 0}, "evaluation batch 0"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**64}, "from 0 to"),
    ],
)
def test_what_would_fail_after_training_is_refused_before(bad, says):
    with pytest.raises(UsageError, match=says):
        replace(tiny_job(), **bad)
