"""TF32 is a choice: the process's switches while f is computed, and as they were before and after."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sharpmin.arithmetic import matrix_unit
from sharpmin.data import synthetic
from sharpmin.errors import UsageError
from sharpmin.objective import Objective

CUDA = torch.device("cuda")  # named, not used: the switches are there without one


def switches():
    backends = torch.backends
    return [switch.fp32_precision for switch in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)]


@pytest.mark.parametrize(("precision", "products"), [("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "ieee")])
def test_the_switches_of_a_gpu(precision, products):
    before = switches()
    with matrix_unit(precision, CUDA):
        assert switches() == [products] * 3
    assert switches() == before


@pytest.mark.filterwarnings("ignore:Please use the new API:UserWarning")  # of PyTorch 2.9, where it is read
def test_they_come_back_after_an_error_too():
    before = switches()
    with pytest.raises(ZeroDivisionError), matrix_unit("float32", CUDA):
        _ = 1 / 0
    assert switches() == before
    assert torch.backends.cudnn.allow_tf32  # as PyTorch has it; the old interface can be read again


def test_a_cpu_s_objective_leaves_them_alone():
    before, seen = switches(), []

    def watched(model, batch):
        seen.append(switches())
        return F.cross_entropy(model(batch[0]), batch[1], reduction="none")

    f = Objective(nn.Linear(4, 3), synthetic(train=8, test=1, shape=(4,), classes=3).train, loss=watched)
    f.value_and_grad(f.theta)
    assert seen == [before]


def test_tf32_is_refused_on_a_cpu():
    with pytest.raises(UsageError, match="is a GPU's, and f is computed on cpu"):
        Objective(nn.Linear(4, 3), synthetic(train=8, test=1, shape=(4,), classes=3).train, precision="tf32")
