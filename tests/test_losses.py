"""Cross-entropy where it is small, against its closed form."""

import math

import pytest
import torch
from torch import nn

from sharpmin.losses import classification


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
