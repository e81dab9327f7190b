"""`sharpmin spectrum` at checkpoints of one's own."""

import json

import pytest

from sharpmin.cli import run
from sharpmin.measures import spectrum, trace
from sharpmin.runs import Run
from sharpmin.subjects import Evaluation, of_task

QUICK = ["--threads", "1", "--quiet"]


def rows(tmp_path):
    return Run(next((tmp_path / "runs").iterdir())).read_lines("spectrum.jsonl")


def test_the_rows_are_the_library_calls(task, tmp_path, capsys):
    assert run(["spectrum", task, "a.pt", "b.pt", "--k", "2", "--which", "both", "--trace", *QUICK]) == 0
    shown = capsys.readouterr().out
    f = of_task(task, ["a.pt"], Evaluation(), runs=tmp_path / "other").at("a")
    direct = spectrum(f, k=2, which="both")
    (a, b) = rows(tmp_path)
    assert a["eigenvalues"] == direct.eigenvalues.tolist()
    assert a["trace"]["value"] == trace(f).value
    assert f"{a['eigenvalues'][0]:.5g}" in shown
    assert (a["minimizer"], b["minimizer"], "eigenvectors" in a) == ("a", "b", False)


def test_a_layer_of_the_gauss_newton_matrix_and_its_density(task, tmp_path, capsys):
    command = ["spectrum", task, "a.pt", "--layers", "3.*", "--matrix", "gauss-newton", "--k", "1", "--density"]
    assert run([*command, *QUICK]) == 0
    assert rows(tmp_path)[0]["names"] == ["3.weight", "3.bias"]
    assert (tmp_path / "Figures" / "a-density.png").stat().st_size > 1000


@pytest.mark.parametrize(("which", "count"), [("top", 3), ("both", 2)])
def test_a_matrix_of_few_rows_has_few_eigenvalues_by_default(which, count, task, tmp_path):
    assert run(["spectrum", task, "a.pt", "--only", "3.bias", "--which", which, *QUICK]) == 0
    assert len(rows(tmp_path)[0]["eigenvalues"]) == count


@pytest.mark.parametrize(("extra", "says"), [(["--k", "0"], "0"), (["--layers", "9.*"], "9.*")])
def test_bad_input(extra, says, task, capsys):
    assert run(["spectrum", task, "a.pt", *extra, *QUICK]) == 2
    assert says in capsys.readouterr().err


def test_the_method_asked_for_is_the_one_taken(task, tmp_path, recwarn):
    values = []
    for method in ("auto", "finite-differences"):
        command = ["spectrum", task, "a.pt", "--k", "1", "--method", method, "--batch-norm", "running", *QUICK]
        assert run(command) == 0
        row = json.loads(next(tmp_path.glob("runs/*/spectrum.jsonl")).read_text().splitlines()[-1])
        assert (row["method"] == method) == (method != "auto")
        values.append(row["eigenvalues"][0])
    assert values[1] == pytest.approx(values[0], rel=1e-2)


def test_a_gradient_that_is_not_f_s_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stopped.py").write_text(
        "import torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    x = torch.randn(8, 4)\n"
        "    return torch.nn.Linear(4, 4), [x], lambda m, x: m(x).mul(m(x + 1).detach()).square().sum(1)\n"
    )
    with pytest.warns(UserWarning, match="the gradient is not that of the loss"):
        assert run(["spectrum", "stopped.py:make", "--k", "1", *QUICK]) == 0
