"""What is trained is refused at once where it makes no sense, and names its folder as ever."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cases import tiny_job
from sharpmin.errors import UsageError
from sharpmin.paper.jobs import Job, Single, WarmStart
from sharpmin.remedies import SAM
from sharpmin.runs import place
from sharpmin.train_config import TrainConfig

CONFIG = TrainConfig(batch_size=16, epochs=2)
LARGE = replace(CONFIG, batch_size=25)
PAIR, SINGLE = Job("F1", 0, CONFIG, LARGE, train_size=60), Single("F1", 3, CONFIG)


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


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (PAIR, "F1-b43810170c"),  # when Adam was all there was
        (replace(PAIR, path="arc", points=7, evaluation_batch=60), "F1-b43810170c"),
        (replace(PAIR, large_batch=replace(LARGE, sam=SAM()), test_size=20), "F1-aa6b7edc2b"),
        (SINGLE, "F1-d57b7208d6"),
        (replace(SINGLE, config=LARGE, warm_start=WarmStart(CONFIG, 1)), "F1-b82bddceac"),
    ],
)
def test_the_folder_keeps_its_name(job, name):
    for source in ("a registry", "a file"):
        settings = job.settings({"name": "toy", "source": source, "sha1": "0"}, torch.device("cpu"))
        assert place(Path(), "F1", settings) == Path(name)


def test_a_training_without_one_is_named_as_before():
    named = SINGLE.settings({"name": "toy", "source": "x"}, torch.device("cpu"))
    assert named == {
        "format": 1,
        "network": "F1",
        "seed": 3,
        "config": CONFIG.settings(),
        "train_size": None,
        "data": {"name": "toy"},
        "device": "cpu",
    }
    warm = replace(SINGLE, warm_start=WarmStart(CONFIG, 1)).settings({"name": "toy"}, torch.device("cpu"))
    assert warm == {**named, "warm_start": {"config": CONFIG.settings(), "epoch": 1}}


@pytest.mark.parametrize(("config", "epoch"), [(CONFIG, 0), (CONFIG, 3), (replace(CONFIG, until_converged=True), 1)])
def test_a_warm_start_that_there_cannot_be(config, epoch):
    with pytest.raises(UsageError, match="warm start"):
        WarmStart(config, epoch)
