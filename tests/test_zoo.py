"""The networks against the paper's definitions, counted by hand."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from cases import same_bits
from sharpmin.errors import UsageError
from sharpmin.zoo import NETWORKS, build, default_interface


def dense(inputs: int, outputs: int, *, norm: bool = True) -> int:
    return inputs * outputs + outputs + (2 * outputs if norm else 0)


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs + 2 * outputs


def shallow(classes: int) -> int:
    convolutions = conv(3, 64, 5) + conv(64, 64, 5)
    return convolutions + dense(64 * 8 * 8, 384) + dense(384, 192) + dense(192, classes, norm=False)


def deep(classes: int) -> int:
    widths = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 6]
    convolutions = sum(conv(i, o, 3) for i, o in pairwise(widths))
    return convolutions + dense(512, 512) + dense(512, classes, norm=False)


WEIGHTS = {
    "F1": dense(784, 512) + 4 * dense(512, 512) + dense(512, 10, norm=False),
    "F2": dense(360, 512) + 6 * dense(512, 512) + dense(512, 1973, norm=False),
    "C1": shallow(10),
    "C2": deep(10),
    "C3": shallow(100),
    "C4": deep(100),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_number_of_weights_is_the_papers(name):
    assert sum(p.numel() for p in build(name, seed=0).parameters()) == WEIGHTS[name]


def test_c1_has_1_757_834_weights():
    assert WEIGHTS["C1"] == 1_757_834


@pytest.mark.parametrize("name", NETWORKS)
def test_one_logit_per_class_for_the_papers_inputs(name):
    like = default_interface(name)
    assert build(name, seed=0).eval()(torch.rand(2, *like.shape)).shape == (2, like.classes)


def sketch(name: str) -> str:
    """The chain of layers in a line: c64 a convolution of 64 filters, d512 a dense layer, p a pool, .5 dropout."""

    def word(layer: nn.Module) -> str:
        match layer:
            case nn.Conv2d():
                return f"c{layer.out_channels}x{layer.kernel_size[0]}"
            case nn.Linear():
                return f"d{layer.out_features}"
            case nn.Dropout():
                return f"{layer.p:g}"
            case nn.MaxPool2d():
                return f"p{layer.kernel_size}/{layer.stride}"
        return {nn.BatchNorm1d: "n", nn.BatchNorm2d: "n", nn.ReLU: "r", nn.Flatten: "f"}[type(layer)]

    return " ".join(word(layer) for layer in build(name, seed=0))


def test_the_order_of_the_layers():
    assert sketch("F1") == "f" + " d512 n r" * 5 + " d10"
    assert sketch("F2") == "f" + " d512 n r" * 7 + " d1973"
    assert sketch("C1") == "c64x5 n r p3/2 " * 2 + "f d384 n r 0.5 d192 n r 0.5 d10"
    stack = "c{0}x3 n r 0.4 "
    assert sketch("C4") == (
        "c64x3 n r 0.3 c64x3 n r p2/2 "
        + (stack + "c{0}x3 n r p2/2 ").format(128)
        + (stack * 2 + "c{0}x3 n r p2/2 ").format(256)
        + (stack * 2 + "c{0}x3 n r p2/2 ").format(512) * 2
        + "f 0.5 d512 n r 0.5 d100"
    )


@pytest.mark.parametrize("side", [32, 28, 9])
@pytest.mark.parametrize("name", ["C1", "C2"])
def test_same_padding_fits_images_of_any_side(name, side):
    model = build(name, seed=0, shape=(1, side, side), classes=4).eval()
    assert model(torch.rand(2, 1, side, side)).shape == (2, 4)


@pytest.mark.parametrize("name", ["C1", "F1"])
def test_weights_start_glorot_uniform_and_biases_at_zero(name):
    for layer in build(name, seed=3):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            field = math.prod(layer.weight.shape[2:])
            bound = math.sqrt(6 / (field * (layer.weight.shape[0] + layer.weight.shape[1])))
            n, w = layer.weight.numel(), layer.weight.detach().double()
            assert w.abs().max() <= bound * (1 + 1e-6)
            assert abs(w.mean()) < 5 * bound / math.sqrt(3 * n)  # five standard errors of a uniform's mean,
            assert abs(w.pow(2).mean() * 3 / bound**2 - 1) < 5 * math.sqrt(0.8 / n)  # and of its square
            assert not layer.bias.any()


def test_batch_norm_knows_only_the_batch_at_hand():
    norms = [m for m in build("C1", seed=0) if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 4
    assert all(m.running_mean is None and m.eps == 1e-3 and m.weight.eq(1).all() and m.bias.eq(0).all() for m in norms)


def test_the_start_depends_on_the_seed_alone_and_disturbs_nothing():
    first = build("F1", seed=5, shape=(4,), classes=2).state_dict()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same_bits(first, build("F1", seed=5, shape=(4,), classes=2).state_dict())
    assert torch.equal(torch.get_rng_state(), before)
    assert not same_bits(first, build("F1", seed=6, shape=(4,), classes=2).state_dict())


def test_an_unknown_network_lists_the_choices():
    with pytest.raises(UsageError, match=r"'C9'.*F1, F2, C1, C2, C3, C4"):
        build("C9", seed=0)
