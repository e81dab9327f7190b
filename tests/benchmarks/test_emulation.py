"""The emulated matrix unit: its rounding against arithmetic on exact numbers, its products against float64."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sharpmin import data, zoo
from sharpmin.objective import Objective

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def numbers(count=2000):
    """Floats of many sizes, with ties, infinities and NaN among them."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, generator=generator) * torch.exp(10 * torch.randn(count, generator=generator))
    ties = 1 + torch.arange(64) * 2.0**-11
    return torch.cat([drawn, ties, -ties, torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan])])


def by_significand(x, bits):
    """The nearest number with so many explicit bits, by numpy's rounding of the significand (ties to even)."""
    significand, exponent = np.frexp(x.numpy().astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(significand, bits + 1)), exponent - bits - 1).astype(np.float32)


def test_rounding_is_to_nearest_and_ties_to_even():
    from emulation import rounded

    x = numbers()
    assert np.array_equal(rounded(x, 10).numpy(), by_significand(x, 10), equal_nan=True)


def test_seven_bits_are_bfloat16():
    from emulation import rounded

    x = numbers()
    x = x[x.isfinite()]
    assert rounded(x, 7).equal(x.bfloat16().float())


def test_every_product_of_a_step_has_rounded_operands():
    from emulation import MatrixUnit

    generator = torch.Generator().manual_seed(0)
    x, w, g = (torch.randn(n, m, generator=generator) for n, m in ((5, 4), (3, 4), (5, 3)))
    b = torch.randn(3, generator=generator)
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    with MatrixUnit() as unit:
        y = F.linear(*leaves)
        found = torch.autograd.grad(y, leaves, g)
    x64, w64, g64 = (torch.from_numpy(by_significand(t, 10)).double() for t in (x, w, g))
    close = {"rtol": 1e-6, "atol": 1e-6}
    assert torch.allclose(y.double(), x64 @ w64.T + b, **close)  # what is added is not rounded
    for mine, exact in zip(found, (g64 @ w64, g64.T @ x64, g.double().sum(0)), strict=True):
        assert torch.allclose(mine.double(), exact, **close)
    assert unit.products == 3


def test_convolutions_too():
    from emulation import MatrixUnit

    generator = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(*s, generator=generator) for s in ((2, 3, 6, 6), (4, 3, 3, 3), (4,)))
    g = torch.randn(2, 4, 6, 6, generator=generator)
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    with MatrixUnit() as unit:
        y = F.conv2d(*leaves, padding=1)
        _, w_slope, b_slope = torch.autograd.grad(y, leaves, g)
    x64, w64, g64 = (torch.from_numpy(by_significand(t, 10)).double() for t in (x, w, g))
    columns = F.unfold(x64, 3, padding=1)  # [2, 27, 36]
    products = (w64.reshape(4, 27) @ columns).reshape(2, 4, 6, 6)
    assert torch.allclose(y.double(), products + b.double()[:, None, None], atol=1e-5)
    outer = torch.einsum("bop,bkp->ok", g64.reshape(2, 4, 36), columns).reshape(4, 3, 3, 3)
    assert torch.allclose(w_slope.double(), outer, atol=1e-4)
    assert torch.allclose(b_slope, g.sum((0, 2, 3)), atol=1e-5)
    assert unit.products == 2


def test_bfloat16_products_are_those_of_autocast():
    from emulation import MatrixUnit

    images = data.synthetic(train=8, test=1, shape=(6,), classes=3).train
    f = Objective(zoo.build("F1", seed=0, shape=(6,), classes=3), images, batch_norm="batch", precision="bfloat16")
    value, gradient = f.value_and_grad(f.theta)
    with MatrixUnit() as unit:
        emulated, slopes = f.value_and_grad(f.theta)
    assert unit.products == 17  # six layers forward, six outer products and five adjoints back
    assert emulated == pytest.approx(value, rel=2e-3)
    assert (slopes - gradient).norm() < 0.02 * gradient.norm()


def test_float64_is_left_alone():
    from emulation import MatrixUnit

    layer, x = nn.Linear(4, 3).double(), torch.randn(5, 4, dtype=torch.float64)
    with MatrixUnit(), torch.no_grad():
        inside = layer(x)
    assert inside.equal(layer(x))
