"""The barrier on a straight line, on planted functions whose barrier is known."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, examples, scrambled
from sharpmin.errors import UsageError
from sharpmin.landscape.barrier import barrier, barrier_of, rises, unit_grid
from sharpmin.landscape.paths import Path, path
from sharpmin.objective import Objective

TILT = 0.3


class Quartic(nn.Module):
    """(w^2 - 1)^2 + tilt w, for every example."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self, x):
        return ((self.w**2 - 1) ** 2 + TILT * self.w).expand(len(x))


def on_quartic():
    return Objective(Quartic(), examples(5, 1), loss=lambda model, batch: model(batch[0]))


def ends(a, b):
    return torch.tensor([a], dtype=F64), torch.tensor([b], dtype=F64)


def test_a_planted_barrier_is_measured():
    found = barrier(on_quartic(), *ends(-1.0, 1.0))
    assert found.height == pytest.approx(1, rel=1e-14)  # the tilt is the line between the ends
    assert found.alpha == 0.5
    w = np.linspace(-1, 1, 25)
    assert found.above_higher_end == pytest.approx(((w**2 - 1) ** 2 + TILT * w).max() - TILT, rel=1e-14)
    assert found.error_height is None


def test_it_is_the_formula_at_any_ends():
    a, b = -1.3, 0.4
    alphas = np.linspace(0, 1, 9)
    w = (1 - alphas) * a + alphas * b
    f = (w**2 - 1) ** 2 + TILT * w
    found = barrier(on_quartic(), *ends(a, b), alphas=alphas)
    assert found.height == pytest.approx((f - (1 - alphas) * f[0] - alphas * f[-1]).max(), rel=1e-13)
    assert found.above_higher_end == pytest.approx(f.max() - max(f[0], f[-1]), rel=1e-13)


def test_a_slope_from_end_to_end_is_no_barrier():
    found = barrier(on_quartic(), *ends(1.0, 1.5))  # convex there
    assert (found.height, found.above_higher_end) == (0, 0)


def test_the_errors_barrier_is_measured_as_the_losses():
    line = Path("line", (0.0, 0.25, 1.0), (0.1, 0.4, 0.3), (0.9, 0.6, 0.7), 10, "running", 10, "float32")
    found = barrier_of(line)
    assert found.error_height == pytest.approx(0.4 - (0.75 * 0.1 + 0.25 * 0.3))
    assert found.height == pytest.approx(0.4 - (0.75 * 0.1 + 0.25 * 0.3))
    assert found.above_higher_end == pytest.approx(0.1)
    assert found.path is line


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_is_not_a_number_and_never_a_low_barrier(place):
    losses = [0.1, 0.2, 0.1]
    losses[place] = np.nan
    accuracies = tuple(None if np.isnan(loss) else 0.5 for loss in losses)
    found = barrier_of(Path("line", (0.0, 0.5, 1.0), tuple(losses), accuracies, 10, "running", 10, "float32"))
    assert np.isnan(found.height)
    assert np.isnan(found.above_higher_end)
    assert found.error_height is None


def test_an_infinite_loss_between_the_ends_is_an_infinite_barrier():
    assert rises([0, 0.5, 1], [1.0, np.inf, 1.0]).tolist() == [0, np.inf, 0]


@pytest.mark.parametrize("policy", ["running", "batch", "recalibrate"])
def test_it_says_how_it_was_evaluated_and_statistics_are_the_ends_own_or_new(policy):
    layers = [nn.Tanh, partial(nn.Linear, 4, 5), partial(nn.BatchNorm1d, 5), partial(nn.Linear, 5, 3)]  # no dense first
    models = [scrambled(nn.Sequential(*(layer() for layer in layers)), F64) for _ in range(2)]
    models[1][2].running_var.fill_(9)
    f, g = (Objective(model, examples(12, 4), batch_norm=policy) for model in models)
    buffers = tuple(dict(model.named_buffers()) for model in models)
    found = barrier(f, f.theta, 2 * g.theta, alphas=[0, 0.5, 1], buffers=buffers)
    assert found.path == path(f, f.theta, 2 * g.theta, alphas=[0, 0.5, 1], buffers=buffers)
    assert found.path.batch_norm == policy
    assert (found.path.losses[1] == f.value((f.theta + 2 * g.theta) / 2)) == (policy != "running")


@pytest.mark.parametrize("alphas", [[0, 0.5], [-1, 0, 1], []])
def test_alphas_that_are_not_from_end_to_end_are_refused(alphas):
    with pytest.raises(UsageError, match="give alphas from 0 to 1"):
        barrier(on_quartic(), *ends(-1.0, 1.0), alphas=alphas)


def test_one_point_makes_no_grid():
    with pytest.raises(UsageError, match="1 points do not make a curve"):
        unit_grid(1)
