"""A search interrupted and begun again asks for the same points and gets the same bits."""

import os

import pytest
import torch

from cases import examples, random, shallow
from forked import exit_code, start
from sharpmin.errors import RunError
from sharpmin.journal import Journal
from sharpmin.measures import sharpness
from sharpmin.objective import Objective
from sharpmin.runs import open_run


def objective(**options) -> Objective:
    return Objective(shallow(), examples(17, 2, 8, 8), batch_norm="batch", **options)


FORGETFUL = """
import sys
from pathlib import Path
from sharpmin.journal import Journal
from test_journal import objective

f = Journal(objective(), Path(sys.argv[1]))
for n in range(40):
    f.value_and_grad(f.theta + n)
    f.forget()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_two_searches_at_one_point_at_once(tmp_path):
    folder = open_run(tmp_path, "C1", {}).folder
    assert exit_code(*(start(FORGETFUL, folder / "unfinished") for _ in range(2))) == 0


class Interrupted(Journal):
    """Fails at its fourth evaluation, as Ctrl-C might."""

    calls = 0

    def value_and_grad(self, theta):
        self.calls += 1
        if self.calls == 4:
            raise KeyboardInterrupt
        return super().value_and_grad(theta)


def counted(f: Objective, monkeypatch) -> list[None]:
    """A list that grows with every real evaluation of f."""
    calls: list[None] = []
    compute = Objective.value_and_grad

    def counting(self, theta):
        calls.append(None)
        return compute(self, theta)

    monkeypatch.setattr(Objective, "value_and_grad", counting)
    return calls


def test_an_interrupted_search_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    expected = sharpness(objective(), epsilon=0.1)
    with pytest.raises(KeyboardInterrupt):
        sharpness(Interrupted(objective(), tmp_path), epsilon=0.1)
    calls = counted(objective(), monkeypatch)
    found = sharpness(Journal(objective(), tmp_path), epsilon=0.1)
    assert len(calls) == expected.evaluations - 3 + 1  # one to see that the journal is of this f
    assert (found.value, found.evaluations) == (expected.value, expected.evaluations)
    assert torch.equal(found.displacement, expected.displacement)


def test_another_f_is_another_entry(tmp_path):
    theta = random(objective().layout.size, seed=1)
    for place, f in enumerate((objective(), objective(batch_size=5), objective(precision="bfloat16"))):
        value, gradient = f.value_and_grad(theta)
        journal = Journal(f, tmp_path)
        journal.trusted = True
        kept = [journal.value_and_grad(theta) for _ in range(2)]
        assert all(v == value and torch.equal(g, gradient) for v, g in kept)
        assert len(list(tmp_path.iterdir())) == place + 1


def test_entries_of_another_computation_are_not_believed(tmp_path):
    old, new = objective(), Objective(shallow(), examples(17, 2, 8, 8, seed=7), batch_norm="batch")
    journal = Journal(old, tmp_path / "kept")
    for seed in (1, 2):
        journal.value_and_grad(random(old.layout.size, seed=seed))
    again = Journal(new, tmp_path / "kept")
    for seed in (1, 2):
        theta = random(old.layout.size, seed=seed)
        assert again.value_and_grad(theta)[0] == new.value_and_grad(theta)[0]


def test_nan_and_infinity_are_kept(tmp_path):
    f = objective()
    theta = torch.full_like(f.theta, float("inf"))
    journal = Journal(f, tmp_path / "kept")
    values = [str(journal.value_and_grad(theta)[0]) for _ in range(2)]
    assert values == ["nan", "nan"]
    assert str(Journal(f, tmp_path / "kept").value_and_grad(theta)[0]) == "nan"


def test_a_damaged_entry_is_named_and_forgotten_ones_are_gone(tmp_path):
    journal = Journal(objective(), tmp_path / "kept")
    journal.value_and_grad(journal.theta)
    (entry,) = journal.folder.iterdir()
    entry.write_bytes(b"half")
    with pytest.raises(RunError, match=entry.name):
        journal.value_and_grad(journal.theta)
    journal.forget()
    assert not journal.folder.exists()
