"""Advice is given where every round agrees, and only there."""

import pytest

from sharpmin.doctor import facts
from sharpmin.doctor import rows as module
from sharpmin.doctor.contest import Contest
from sharpmin.doctor.rows import OURS, advice, allocator, bfloat16, judged, settings, threads, told
from sharpmin.timing import Summary, summary


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.6, 1.8, 2.0], "faster"),
        ([0.5, 0.6, 0.7], "slower"),
        ([0.97, 1.02, 1.05], "equal"),
        ([0.6, 1.8, 2.0], "unknown"),
        ([1.8, 1.9], "unknown"),
    ],
)
def test_a_verdict_needs_every_round_and_three_of_them(ratios, verdict):
    assert judged(summary(ratios)) == verdict
    assert f"n = {len(ratios)}" in told(summary(ratios))


def contested(**seconds):
    return Contest(128, {OURS: [1.0, 1.0, 1.0], **{name.replace("_", " "): times for name, times in seconds.items()}})


def test_slow_threads_are_advised_against():
    assert "use all 4" in threads(contested(half_the_threads=[1.8, 1.9, 2.0]), 4).advice
    assert "--threads 2" in threads(contested(half_the_threads=[0.5, 0.6, 0.7]), 4).advice
    unsure = threads(contested(half_the_threads=[0.5, 1.6, 0.7]), 4).advice
    assert unsure.startswith("cannot tell")
    assert "threads" not in unsure
    assert threads(contested(), 1).speedup is None


def test_the_ratio_is_of_the_advised_over_the_other():
    assert bfloat16(contested(bfloat16=[0.5, 0.5, 0.5])).speedup == Summary(2.0, 2.0, 2.0, 3)
    assert allocator(contested(default_allocator=[3.0, 3.0, 3.0])).speedup == Summary(3.0, 3.0, 3.0, 3)


def test_a_sentence_says_in_what_it_was_measured():
    said = advice(Summary(1.8, 1.6, 2.0, 5), contested(), faster="do X", slower="do not")
    assert said == "do X: 1.80x as fast (1.60 to 2.00, n = 5) in training C1 at batch 128"


def test_settings_that_cannot_be_had_are_left_out(monkeypatch):
    monkeypatch.setattr("sharpmin.runtime.has_glibc", lambda: False)
    assert set(settings(1)) == {OURS, "channels first", "bfloat16"}
    assert allocator(contested()).speedup is None


def test_facts_of_this_machine():
    sizes = facts.largest_batches()
    assert sizes["C1"] > sizes["C2"] > 0
    here, missing = facts.data_sets()
    assert set(here) | set(missing) == {"mnist", "fashion-mnist", "cifar10", "cifar100"}
    assert not facts.missing_libraries()


def test_rows_that_measure_nothing(monkeypatch):
    monkeypatch.setattr(module.facts, "devices", lambda: ["Some GPU"])
    assert "--device cuda" in module.devices().advice
    monkeypatch.setattr(module.facts, "data_sets", lambda: (["mnist"], ["cifar10"]))
    assert "sharpmin data fetch cifar10" in module.data().advice
    monkeypatch.setattr(module.facts, "missing_libraries", lambda: ["oneDNN"])
    assert "with oneDNN" in module.build().advice
    monkeypatch.setattr("sharpmin.runtime.available_memory", lambda: None)
    assert module.memory().found == "unknown here"
