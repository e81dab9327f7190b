"""Where no policy for BatchNorm was chosen, the line of the caller is told so, however it got there."""

import pytest
import torch
from torch import nn

from cases import examples
from sharpmin import Objective
from sharpmin.landscape import Grid, barrier, lines, path, plane, random_frame, random_plane, surface

ORIGIN = Grid((0.0,), (0.0,))
WAYS = {
    "path": lambda f: path(f, f.theta, f.theta, alphas=[0]),
    "barrier": lambda f: barrier(f, f.theta, f.theta, alphas=[0, 1]).path,
    "lines": lambda f: lines(f, draws=1, alphas=[0]),
    "surface": lambda f: surface(f, random_frame(f, f.theta), grid=ORIGIN),
    "plane": lambda f: plane(f, f.theta, *torch.eye(len(f.theta))[:2], grid=ORIGIN),
    "random_plane": lambda f: random_plane(f, grid=ORIGIN),
}


def normed(**chosen):
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    return Objective(model, examples(9, 4, dtype=torch.float32), **chosen)


@pytest.mark.parametrize("evaluate", WAYS.values(), ids=WAYS)
def test_without_a_chosen_policy_the_callers_line_is_warned(evaluate):
    with pytest.warns(UserWarning, match='"recalibrate" estimates them at every point') as seen:
        evaluate(normed())
    assert [(one.filename, one.lineno) for one in seen] == [(__file__, evaluate.__code__.co_firstlineno)]


@pytest.mark.parametrize("policy", ["running", "batch", "recalibrate"])
@pytest.mark.parametrize("evaluate", WAYS.values(), ids=WAYS)
def test_a_chosen_policy_is_taken_without_a_word(evaluate, policy):
    assert evaluate(normed(batch_norm=policy)).batch_norm == policy
