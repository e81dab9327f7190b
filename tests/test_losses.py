"""Cross-entropy against its closed form, and what a loss function may return."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from cases import Shift, random
from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.losses import classification, summed
from sharpmin.objective import Objective


@pytest.mark.parametrize("margin", [1.0, 8.0, 12.0, 17.0, 40.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loss_near_zero_is_as_exact_as_its_logits(margin, dtype):
    """With one logit ahead of C - 1 equal ones the loss is log(1 + (C - 1) e^-margin)."""
    classes, rest = 10, 9 * math.exp(-margin)
    logits = torch.zeros(1, classes, dtype=dtype)
    logits[0, 3] = margin
    logits.requires_grad_()
    losses, hits = classification(nn.Identity(), (logits, torch.tensor([3])))
    (slopes,) = torch.autograd.grad(losses.sum(), logits)
    assert hits.tolist() == [True]
    assert losses.item() == pytest.approx(math.log1p(rest), rel=1e-10, abs=1e-15)
    assert slopes[0, 3].item() == pytest.approx(-rest / (1 + rest), rel=1e-6, abs=1e-15)
    assert slopes.dtype == dtype


def logits_and_losses(count=6, classes=3):
    """Random logits, and -log p of every class in numpy."""
    z = random(count, classes)
    return z, np.log(np.exp(z.numpy()).sum(1, keepdims=True)) - z.numpy()


def test_targets_that_are_no_class_are_no_examples():
    z, by_class = logits_and_losses()
    targets = torch.tensor([0, -100, 2, 1, -100, 2])
    f = Objective(Shift(3), Examples(z, targets), batch_size=4)
    found, kept = f.measure(f.theta), [0, 2, 3, 5]
    assert found.examples == 4
    assert found.loss == pytest.approx(by_class[kept, targets[kept]].mean(), rel=1e-14)
    assert found.accuracy == (z.argmax(1) == targets).sum().item() / 4
    assert f.measure(f.theta) == Objective(Shift(3), [(z[:4], targets[:4]), (z[4:], targets[4:])]).measure(f.theta)


@pytest.mark.parametrize("count", [6, 3])  # with as many examples as classes, too
def test_targets_may_be_probabilities(count):
    z, by_class = logits_and_losses(count)
    p = random(count, 3, seed=1).exp().float()
    p = p / p.sum(1, keepdim=True)
    f = Objective(Shift(3), SimpleNamespace(inputs=z, targets=p))
    found = f.measure(f.theta)
    assert found.loss == pytest.approx((p.double().numpy() * by_class).sum(1).mean(), rel=1e-6)
    assert found.accuracy == np.mean(z.numpy().argmax(1) == p.numpy().argmax(1))


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ({"loss": torch.ones(3)}, "returned dict"),
        (1.5, "returned float"),
        (None, "returned NoneType"),
        ((torch.ones(3), 3), r"returned \(a tensor \[3\], int\)"),
        ((torch.tensor(1.0), 3, 4), r"returned \(a tensor \[\], int, int\)"),
        ((torch.tensor(1.0), torch.ones(3)), r"a count of shape \[3\]"),
        ((torch.tensor(1.0), 2.5), "counted 2.5 examples"),
        ((torch.tensor(1.0), torch.tensor(1.2)), "counted 1.2 examples"),
        ((torch.tensor(1.0), -1), "counted -1 examples"),
        ((torch.tensor(1.0), math.nan), "counted nan examples"),
        (torch.ones(3, 2), r"returned shape \[3, 2\]"),
    ],
)
def test_what_is_no_loss_is_told(returned, says):
    with pytest.raises(UsageError, match=says):
        summed(returned)


def test_a_count_may_be_a_tensor():
    assert summed((torch.tensor(6.0), torch.tensor(4))).examples == summed((torch.tensor(6.0), 4.0)).examples == 4


@pytest.mark.parametrize(("batch", "says"), [({"x": torch.ones(2)}, "dict"), (torch.ones(2), r"a tensor \[2\]")])
def test_a_batch_that_is_no_pair_is_told(batch, says):
    with pytest.raises(UsageError, match=f"takes batches .inputs, targets. and was.*{says}"):
        classification(nn.Identity(), batch)


@pytest.mark.parametrize("ignored", [0, 3])
def test_targets_of_many_positions_are_refused_whether_some_are_ignored_or_not(ignored):
    targets = torch.zeros(2, 5, dtype=torch.int64)
    targets[0, :ignored] = -100
    with pytest.raises(UsageError, match=r"returned shape \[2, 5\]"):
        summed(classification(nn.Identity(), (random(2, 3, 5), targets)))


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (random(4, 3), "no probabilities"),
        (torch.full((4, 3), 0.5), "no probabilities"),
        (torch.rand(4, 1), "no probabilities"),
        (torch.rand(4), "no probabilities"),
        (torch.zeros(4, 1, dtype=torch.int64), r"shape \[4, 1\]: classes are \[B\], targets.squeeze\(1\)"),
    ],
)
@pytest.mark.parametrize("pair", [True, False])
def test_targets_that_are_neither_classes_nor_probabilities_are_told(targets, says, pair):
    inputs = random(4, 3)
    data = SimpleNamespace(inputs=inputs, targets=targets) if pair else [(inputs, targets)]
    with pytest.raises(UsageError, match=says):
        Objective(Shift(3), data).value(torch.zeros(3, dtype=torch.float64))
