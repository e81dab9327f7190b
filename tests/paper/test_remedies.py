"""The recipe of appendix E, whole and under a budget, and the arithmetic of its table."""

from dataclasses import replace
from typing import get_args

import pytest

from sharpmin.cli.remedies import Name
from sharpmin.errors import UsageError
from sharpmin.paper.budget import Budget
from sharpmin.paper.provenance import Provenance
from sharpmin.paper.remedies import NAMES, configurations, trials
from sharpmin.paper.remedy_table import RemedyRow, RemedyTable, lines, markdown
from sharpmin.remedies import SAM, Augmentation, Conservative, GhostBatchNorm, GrowingBatch, Robust, WarmUp
from sharpmin.train_config import TrainConfig, check

WHOLE = Budget().extent(images=50_000, epochs=20, trials=5, test=10_000)
LARGE = TrainConfig(batch_size=5000)


def test_the_whole_recipe_is_the_papers_and_that_of_those_who_came_after():
    assert configurations("C1", WHOLE) == {
        "small batch": TrainConfig(batch_size=256),
        "small batch, augmentation": TrainConfig(batch_size=256, augmentation=Augmentation(True, 10, 0.2)),
        "large batch": LARGE,
        "large batch, augmentation": replace(LARGE, augmentation=Augmentation(True, 10, 0.2)),
        "large batch, conservative": replace(LARGE, conservative=Conservative(1e-3, 3)),
        "large batch, robust": replace(LARGE, robust=Robust(8 / 255, 0.5)),
        "large batch, sam": replace(LARGE, sam=SAM(0.05)),
        "large batch, ghost-batch-norm": replace(LARGE, ghost_batch_norm=GhostBatchNorm(256)),
        "large batch, warm-up": replace(LARGE, warm_up=WarmUp(5, 256)),
        "large batch, growing-batch": replace(LARGE, growing_batch=GrowingBatch(256, 5, 5)),
    }


@pytest.mark.parametrize("budget", [Budget(), Budget(images=100, epochs=1), Budget(images=1000, epochs=7)])
def test_every_training_can_be_done_and_differs_from_the_others(budget):
    extent = budget.extent(images=50_000, epochs=20, trials=5, test=10_000)
    made = configurations("C1", extent)
    for config in made.values():
        check(config, examples=extent.images, shape=(3, 32, 32))
    assert len({str(config.settings()) for config in made.values()}) == len(made) == 10


def test_the_names_are_those_of_the_command_line():
    assert get_args(Name) == NAMES
    with pytest.raises(UsageError, match="there is no remedy 'prayer': choose among augmentation"):
        configurations("C1", WHOLE, chosen=["prayer"])


def test_too_few_images_for_two_batches():
    with pytest.raises(UsageError, match="29 images have no small and large batch"):
        configurations("C1", Budget(images=29).extent(images=50_000, epochs=20, trials=5, test=10_000))
    assert configurations("C1", Budget(images=30).extent(images=50_000, epochs=20, trials=5, test=10_000))


def test_a_network_of_vectors_is_not_augmented_unless_asked_to_be():
    assert not any("augmentation" in name for name in configurations("F2", WHOLE))
    assert "large batch, augmentation" in configurations("F2", WHOLE, chosen=["augmentation"])


def test_every_seed_has_every_training():
    extent = Budget(trials=2).extent(images=50_000, epochs=20, trials=5, test=10_000, seed=3)
    made = configurations("C1", extent, chosen=["sam"])
    jobs = [trial.job for trial in trials("C1", extent, made)]
    assert [(job.seed, job.config) for job in jobs] == [
        (seed, replace(config, seed=seed)) for seed in (3, 4) for config in made.values()
    ]


def row(training, seed, test, sharpness):
    return RemedyRow(training, seed, {}, 0.1, 0.875, test, sharpness, 1.0)


def test_the_table_has_means_and_sample_standard_deviations():
    rows = (row("large batch", 0, 0.75, 700.0), row("sam", 0, 0.5, 10), row("large batch", 1, 0.77, 704.0))
    origin = Provenance("C1", {"name": "cifar10", "synthetic": False}, (0, 1), 20, (1e-3,), "", "x", (), ())
    table = RemedyTable(origin, (*rows, row("sam", 1, None, 20)))
    assert lines(table) == [
        ("large batch", "76.00 ± 1.41", "87.50 ± 0.00", "702.00 ± 2.83"),
        ("sam", "nan", "87.50 ± 0.00", "15.00 ± 7.07"),
    ]
    assert markdown(table).splitlines() == [
        "C1 on CIFAR-10, 20 epochs, n = 2",
        "",
        "Metric 2.1, epsilon = 0.001, full space",
        "",
        "| training | test accuracy (%) | train accuracy (%) | sharpness |",
        "| --- | --- | --- | --- |",
        "| large batch | 76.00 ± 1.41 | 87.50 ± 0.00 | 702.00 ± 2.83 |",
        "| sam | nan | 87.50 ± 0.00 | 15.00 ± 7.07 |",
    ]
