"""Which steps may be recorded; what a recorded one gives is seen on a GPU, in tests/gpu."""

import pytest
import torch
from torch import nn

from sharpmin import TrainConfig, zoo
from sharpmin.distributed.group import ALONE
from sharpmin.recorded import Recorded, can_record
from sharpmin.remedies import SAM, WarmUp

F1 = zoo.build("F1", seed=0, shape=(6,), classes=3)


@pytest.mark.parametrize(
    ("model", "config", "device", "expected"),
    [
        (F1, TrainConfig(), "cuda", True),
        (F1, TrainConfig(precision="bfloat16"), "cuda", True),
        (F1, TrainConfig(), "cpu", False),
        (F1, TrainConfig(optimizer="sgd"), "cuda", False),
        (F1, TrainConfig(sam=SAM()), "cuda", False),
        (F1, TrainConfig(warm_up=WarmUp()), "cuda", False),
        (nn.Sequential(F1), TrainConfig(), "cuda", False),
    ],
)
def test_plain_adam_on_chains_on_a_gpu(model, config, device, expected):
    assert can_record(model, config, device=torch.device(device), group=ALONE) is expected


def test_a_batch_of_another_size_is_made_as_it_is():
    step = Recorded(lambda picked, views=None: (picked.sum(), picked.amax()), size=3)
    assert step(torch.tensor([1, 2])) == (3, 2)
