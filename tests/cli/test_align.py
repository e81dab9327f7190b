"""`sharpmin align`: the permuted checkpoint, the two barriers, and what is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cases import examples
from sharpmin.checkpoints import load_into, read_checkpoint
from sharpmin.cli import run
from sharpmin.disk import write
from sharpmin.subjects import Evaluation, of_task

QUICK = ["--threads", "1", "--quiet"]


def model_of(task, tmp_path):
    return of_task(task, ["a.pt"], Evaluation(), runs=tmp_path / "runs").model


@pytest.fixture
def permuted_copy(task):
    """A task whose checkpoint c.pt is a.pt with its units in another order."""
    state = torch.load("a.pt")
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = {name: t[order] if t.dim() and name[0] in "01" else t for name, t in state.items()}
    torch.save({**moved, "3.weight": state["3.weight"][:, order]}, "c.pt")
    return task


def test_a_permuted_copy_is_put_back_into_order(permuted_copy, tmp_path, capsys, recwarn):
    assert run(["align", permuted_copy, "a.pt", "c.pt", "-o", "out/aligned.safetensors", "--points", "5", *QUICK]) == 0
    shown = capsys.readouterr()
    assert "5 of 5 units moved, in 1 groups" in shown.out
    assert not shown.err
    found, expected = load_file("out/aligned.safetensors"), torch.load("a.pt")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    (row,) = [json.loads(line) for line in next((tmp_path / "runs").glob("*/align.jsonl")).read_text().splitlines()]
    losses = {(b["when"], b["path"]["batch_norm"]): b["path"]["losses"] for b in row["barriers"]}
    assert losses.keys() == {(when, policy) for when in ("before", "after") for policy in ("running", "recalibrate")}
    for policy in ("running", "recalibrate"):
        assert max(losses["before", policy]) > min(losses["before", policy]) + 0.01
        assert losses["after", policy] == pytest.approx([losses["before", policy][0]] * 5, rel=1e-5)
    assert row["alignment"]["moved"] == 5


def test_the_file_can_be_loaded_and_computes_the_same(task, tmp_path, recwarn):
    command = ["align", task, "a.pt", "b.pt", "-o", "aligned.safetensors", "--points", "2", "--batch-norm", "running"]
    assert run([*command, *QUICK]) == 0
    model, x = model_of(task, tmp_path).eval(), examples(20, 4, dtype=torch.float32).inputs
    load_into(model, read_checkpoint(tmp_path / "b.pt"))
    with torch.no_grad():
        before = model(x)
        load_into(model, read_checkpoint(tmp_path / "aligned.safetensors"))
        torch.testing.assert_close(model(x), before)


def test_a_run_folder_has_its_own_two_ends(finished_run, tmp_path, capsys):
    output = tmp_path / "lb.safetensors"
    command = ["align", str(finished_run), "-o", str(output), "--data", "synthetic", "--points", "3"]
    assert run([*command, *QUICK]) == 0
    shown = capsys.readouterr().out
    assert "test data" in shown
    assert "batch" in shown
    assert load_file(output).keys() == load_file(finished_run / "large_batch.safetensors").keys()


def test_a_minimizer_of_the_run_is_not_replaced(finished_run, capsys):
    file = finished_run / "large_batch.safetensors"
    before = file.read_bytes()
    assert run(["align", str(finished_run), "-o", str(file), "--data", "synthetic", *QUICK]) == 2
    assert f"{file} is there already and belongs to {finished_run}: choose another name" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.pt", "-o", "x.safetensors"], "this takes two ends and got a: give two checkpoints"),
        (["a.pt", "b.pt", "-o", "x.pt"], "x.pt is not a .safetensors file"),
        (["a.safetensors", "b.pt", "-o", "./a.safetensors"], "a.safetensors is read by this very command"),
        (["a.pt", "b.pt", "-o", "x.safetensors", "--only", "3.*"], "leave --only out"),
        (["hub", "b.pt", "-o", "hub/model.safetensors"], "hub/model.safetensors is there already and belongs to hub"),
        (["two.safetensors:ema", "b.pt", "-o", "two.safetensors"], "two.safetensors is read by this very command"),
    ],
)
def test_bad_input(arguments, says, task, tmp_path, capsys):
    for name in ("hub/model.safetensors", "two.safetensors", "a.safetensors"):
        write(tmp_path / name, b"")
    assert run(["align", task, *arguments, *QUICK]) == 2
    assert says in capsys.readouterr().err


TOKENS = """
import torch
from torch import nn
from torch.nn import functional as F

def loss(model, batch):
    return F.cross_entropy(model(batch[0]).mean(1), batch[1], reduction="none")

def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.normal_(model[1].weight)
    return model, [(torch.randn(20, 8, 4), torch.arange(20) % 3)], loss
"""


def test_a_network_that_would_compute_another_function_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens.py").write_text(TOKENS)
    namespace = {}
    exec(TOKENS, namespace)
    model = namespace["make"]()[0]
    for name in ("a.pt", "b.pt"):
        nn.init.normal_(model[0].weight)
        torch.save(model.state_dict(), name)
    assert run(["align", "tokens.py:make", "a.pt", "b.pt", "-o", "x.safetensors", *QUICK]) == 2
    assert "given [B, T, C] by a Linear layer" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x.safetensors").exists()
