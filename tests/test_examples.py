"""The worked examples train and are measured; the code in the guides runs."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from sharpmin.cli import run

ROOT = Path(__file__).parents[1]
QUICK = ["--quiet", "--threads", "1"]
GUIDES = ("your-own-model", "which-measure", "sharpness", "batchnorm", "connect", "monitor")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory; the places that imports added are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("EXAMPLE_DATA", "tiny")
    return tmp_path


def train(example, monkeypatch):
    """Run an example as a user would, for an epoch each."""
    monkeypatch.setattr(sys, "argv", [example, "--epochs", "1", "1"])
    runpy.run_path(str(ROOT / example), run_name="__main__")


def blocks(guide, language):
    """The fenced blocks of a guide in this language."""
    text = (ROOT / "docs" / f"{guide}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_an_example_from_training_to_measurements(name, here, monkeypatch, capsys):
    train(f"examples/{name}.py", monkeypatch)
    source = f"{ROOT}/examples/{name}.py:make"
    files = sorted(str(file.relative_to(here)) for file in (here / name).iterdir())
    assert len(files) == 2
    assert run(["sharpness", source, *files, "--epsilon", "1e-3", "--iterations", "2", *QUICK]) == 0
    assert run(["path", source, *files, "--alpha", "0", "0.5", "1", "--batch-norm", "running", *QUICK]) == 0
    assert run(["compare", source, *files, "--measures", "metric-2.1", "noise-scale", *QUICK]) == 0
    shown = capsys.readouterr()
    assert not shown.err
    assert "highest between them" in shown.out
    assert "noise-scale" in shown.out
    curve = json.loads((here / "Figures" / "large-to-small.json").read_text())["train"]
    rows = [json.loads(line) for line in next((here / "runs").glob("*/sharpness.jsonl")).read_text().splitlines()]
    losses = {row["minimizer"]: row["loss"] for row in rows}
    assert [losses["large"], losses["small"]] == pytest.approx([curve["losses"][0], curve["losses"][2]])
    assert all(row["value"] > 0 for row in rows)


def test_the_transformer_is_tied_and_counts_tokens(here, monkeypatch):
    train("examples/transformer.py", monkeypatch)
    files = [f"transformer/{name}.safetensors" for name in ("small", "large")]
    with safe_open(files[0], framework="pt") as opened:
        names = set(opened.keys())
    assert len({"embedding.weight", "head.weight"} & names) == 1
    assert run(["path", f"{ROOT}/examples/transformer.py:make", *files, "--alpha", "0", "1", *QUICK]) == 0
    curve = json.loads((here / "Figures" / "small-to-large.json").read_text())["train"]
    assert curve["examples"] == 48 * (64 - 8)


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_runs(guide, here, capsys):
    namespace = {"__name__": "guide"}
    for block in blocks(guide, "python"):
        if named := re.match(r"# (\w+\.py)\n", block):
            Path(named[1]).write_text(block)
        exec(compile(block, f"{guide}.md", "exec"), namespace)
    for block in blocks(guide, "sh"):
        for line in block.splitlines():
            if line.startswith("sharpmin "):
                assert run([*shlex.split(line, comments=True)[1:], *QUICK]) == 0, capsys.readouterr().err


def test_the_python_of_the_paper_s_page_runs(here):
    (block,) = blocks("paper", "python")
    exec(compile(block, "paper.md", "exec"), {"__name__": "guide"})


def test_the_code_of_the_remedies_guide_runs():
    (block,) = blocks("remedies", "python")
    exec(compile(block, "remedies.md", "exec"), {"__name__": "guide"})


def test_the_edge_of_stability_in_small(here, monkeypatch, capsys):
    command = "edge.py --synthetic --examples 50 --steps 2 --every 1 --learning-rates 0.01 0.02 --threads 1 --out edge"
    monkeypatch.setattr(sys, "argv", command.split())
    runpy.run_path(str(ROOT / "examples" / "edge_of_stability.py"), run_name="__main__")
    rows = [json.loads(line) for line in (here / "edge" / "learning-rate-0.02.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert rows[0]["loss"] > rows[2]["loss"]
    assert all(row["evidence"]["lambda-max"]["converged"] for row in rows)
    assert (here / "edge" / "figure.png").stat().st_size > 10_000
    assert "learning rate 0.01: lambda_max from" in capsys.readouterr().out


def test_the_guides_have_code():
    assert len(blocks("your-own-model", "python")) >= 5
    assert len(blocks("your-own-model", "sh")) >= 2


def test_two_starting_points_are_aligned_and_connected(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["two_starts.py", "--epochs", "1"])
    runpy.run_path(str(ROOT / "examples/two_starts.py"), run_name="__main__")
    ends = [f"{ROOT}/examples/two_starts.py:make", "two_starts/first.pt", "two_starts/second.pt"]
    assert run(["align", *ends, "-o", "aligned.safetensors", "--points", "2", *QUICK]) == 0
    assert "in 5 groups" in capsys.readouterr().out
    assert run(["connect", *ends[:2], "aligned.safetensors", "--epochs", "1", "--points", "2", *QUICK]) == 0
    assert (here / "Figures" / "first-to-aligned-bezier.json").exists()
