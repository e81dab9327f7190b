"""Hessian products and a top-5 spectrum of C1: hessian-eigenthings and curvlinops beside sharpmin.

    python benchmarks/curvature.py --json FILE [--images 2000] [--repeats 3] [--top5-repeats 1] [--quick]

Sides: `eigenthings` and `curvlinops` as their users have them; the same with this package's allocator settings
(`..._tuned`); and `sharpmin` as its command line runs it. All have C1 at one starting point and the same images as one
batch, whose statistics normalise. Tasks: `product`, two Hessian-vector products, of which sharpmin's first also builds
what it keeps; `top5`, the five largest eigenvalues to a relative residual of `--tol`.

In `top5` curvlinops means SciPy's eigsh on its operator with that tolerance, and hessian-eigenthings its own Lanczos,
fully re-orthogonalised, which has to be told its steps: it is told as many as sharpmin needed. The residuals reported
are measured afterwards, outside the clock, all with the same products. Each turn is a process of its own, one at a
time, warmed up on few images; sides take turns. A ratio is a side's seconds over sharpmin's of the same round.
docs/curvature.md says how to read the JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from job_worker import peak_bytes
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin import data, runtime, zoo
from sharpmin.measures.lanczos import eigenpairs
from sharpmin.objective import Objective
from sharpmin.products import Curvature

SIDES = ("sharpmin", "eigenthings", "curvlinops", "eigenthings_tuned", "curvlinops_tuned")
TOP5_SIDES = ("sharpmin", "eigenthings", "curvlinops")
WARM_UP = 64  # images
WEIGHTS = 1_757_834  # of C1
Row = dict[str, Any]
Times = Callable[[Tensor], Tensor]
Pairs = tuple[Tensor, Tensor]  # values, and vectors one a row


class Counted:
    """A product that counts its calls."""

    def __init__(self, times: Times) -> None:
        self.times, self.calls = times, 0

    def __call__(self, v: Tensor) -> Tensor:
        """The product."""
        self.calls += 1
        return self.times(v)


def problem(images: int) -> tuple[nn.Module, Tensor, Tensor]:
    """C1 in evaluation mode, images and labels."""
    examples = data.synthetic(train=images, test=1).train
    return zoo.build("C1", seed=0).eval(), examples.inputs, examples.targets


def operator(side: str, images: int) -> Any:
    """The Hessian as a library's own operator."""
    model, inputs, targets = problem(images)
    if side == "sharpmin":
        return Curvature(Objective(model, data.Examples(inputs, targets), batch_norm="batch", batch_size=images))
    if side.startswith("eigenthings"):
        from hessian_eigenthings import HessianOperator, supervised_loss

        return HessianOperator(model, [(inputs, targets)], supervised_loss(F.cross_entropy))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch, in one of its requirements
        from curvlinops import HessianLinearOperator

    weights, batches = list(model.parameters()), [(inputs, targets)]
    return HessianLinearOperator(model, nn.CrossEntropyLoss(), weights, batches, check_deterministic=False)


def top5(side: str, matrix: Any, steps: int, tol: float) -> tuple[Pairs, int]:
    """The five largest eigenvalues with their vectors, by the library's own means, and the products spent."""
    if side == "sharpmin":
        found = eigenpairs(matrix, k=5, tol=tol)
        return (found.values, found.vectors), found.products
    if side == "eigenthings":
        from hessian_eigenthings import lanczos

        result = lanczos(matrix, k=5, max_iter=steps, which="LA", reorthogonalize=True, tol=tol, seed=0)
        return (result.eigenvalues, result.eigenvectors), result.iterations
    from scipy.sparse.linalg import LinearOperator, eigsh

    counted, whole = Counted(lambda v: matrix @ v), matrix.to_scipy(dtype=np.float32)
    times = lambda v: counted(torch.from_numpy(v.reshape(-1))).numpy()  # noqa: E731
    start = np.random.default_rng(0).standard_normal(whole.shape[0], dtype=np.float32)
    values, vectors = eigsh(LinearOperator(whole.shape, times, dtype=np.float32), k=5, which="LA", tol=tol, v0=start)
    return (torch.from_numpy(values), torch.from_numpy(vectors.T.copy())), counted.calls


def relative_residuals(images: int, pairs: Pairs) -> list[float]:
    """|A y - lambda y| / lambda of each pair, largest eigenvalue first, with sharpmin's products."""
    matrix, (values, vectors) = operator("sharpmin", images), pairs
    order = values.argsort(descending=True).tolist()
    return [((matrix @ vectors[i] - values[i] * vectors[i]).norm() / values[i]).item() for i in order]


def clocked(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What work gives, its seconds on the clock and on the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def turn(side: str, task: str, images: int, steps: int, tol: float) -> Row:
    """One turn, in a process of its own."""
    torch.set_num_threads(runtime.available_processors())
    if side == "sharpmin" or side.endswith("_tuned"):
        runtime.tune()
    v = torch.randn(WEIGHTS, generator=torch.Generator().manual_seed(0))
    operator(side, WARM_UP) @ v
    return products(operator(side, images), v) if task == "product" else largest(side, images, steps, tol)


def products(matrix: Any, v: Tensor) -> Row:
    """Two products with a vector, and what shows that all sides multiply the same matrix."""
    product, first, cpu_first = clocked(lambda: matrix @ v)
    _, following, cpu_following = clocked(lambda: matrix @ v)
    seconds, cpu = {"first": first, "next": following}, {"first": cpu_first, "next": cpu_following}
    along, norm = (v @ product).item(), product.norm().item()
    return {"seconds": seconds, "cpu": cpu, "peak_bytes": peak_bytes(), "along": along, "norm": norm}


def largest(side: str, images: int, steps: int, tol: float) -> Row:
    """The five largest eigenvalues, and how good they are."""
    matrix = operator(side, images)
    (pairs, count), seconds, cpu = clocked(lambda: top5(side, matrix, steps, tol))
    peak, values = peak_bytes(), sorted(pairs[0].tolist(), reverse=True)
    row = {"seconds": {"top5": seconds}, "cpu": {"top5": cpu}, "peak_bytes": peak, "products": count}
    return {**row, "eigenvalues": values, "relative_residuals": relative_residuals(images, pairs)}


def ask(side: str, task: str, options: argparse.Namespace, steps: int = 0) -> Row:
    """Have a new process take a turn."""
    command = [sys.executable, __file__, "--worker", side, "--task", task, "--images", str(options.images)]
    command += ["--steps", str(steps), "--tol", str(options.tol)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    row = {"side": side, "task": task, **json.loads(answer.splitlines()[-1])}
    print(f"{task} {side}: {row['seconds']}", file=sys.stderr, flush=True)
    return row


def rounds(options: argparse.Namespace) -> list[Row]:
    """Every turn, the sides by turns."""
    rows = [{"round": number, **ask(side, "product", options)} for number in range(options.repeats) for side in SIDES]
    for number in range(options.top5_repeats):
        ours = ask("sharpmin", "top5", options)
        theirs = [ask(side, "top5", options, ours["products"]) for side in TOP5_SIDES[1:]]
        rows += [{"round": number, **row} for row in (ours, *theirs)]
    return rows


def summary(values: Iterable[float]) -> dict[str, float]:
    """How many, their median, minimum and maximum."""
    values = list(values)
    return {"n": len(values), "median": statistics.median(values), "minimum": min(values), "maximum": max(values)}


def report(rows: list[Row]) -> dict[str, Any]:
    """Seconds by name, `<what>_<side>`, and the ratios to sharpmin by clock and by processor time."""
    found: dict[str, Any] = {"seconds": {}, "ratio": {}, "ratio_of_cpu_seconds": {}, "peak_memory_gib": {}}
    for side in SIDES:
        for what in ("first", "next", "top5"):
            name = f"{what if what == 'top5' else what + '_product'}_{side}"
            mine, ours = ([r for r in rows if r["side"] == s and what in r["seconds"]] for s in (side, "sharpmin"))
            if not mine:
                continue
            found["seconds"][name] = summary(row["seconds"][what] for row in mine)
            found["peak_memory_gib"][name] = max(row["peak_bytes"] for row in mine) / 2**30
            if side != "sharpmin":
                for key, clock in (("ratio", "seconds"), ("ratio_of_cpu_seconds", "cpu")):
                    pairs = zip(mine, ours, strict=True)
                    found[key][name] = summary(theirs[clock][what] / our[clock][what] for theirs, our in pairs)
    return found


def check_same_product(rows: list[Row]) -> None:
    """Stop where the sides did not multiply the same matrix: v . A v and |A v| within 1%.

    In float32 a rounding turns a ReLU or a pool here and there, and each is a small part of the Hessian: PyTorch's own
    products in float32 and float64 differ by some 1e-3. And curvlinops is a little wrong in the rows of BatchNorm's
    scales (tests/products/test_oracles.py).
    """
    for key in ("along", "norm"):
        values = {row["side"]: row[key] for row in rows if key in row}
        if values and max(values.values()) - min(values.values()) > 0.01 * max(abs(v) for v in values.values()):
            raise SystemExit(f"the sides disagree on {key}, so their speeds cannot be compared: {values}")


def table(found: dict[str, Any]) -> str:
    """The numbers to read."""
    lines = [f"{'':34}{'seconds':>10}{'times sharpmin':>28}{'by processor time':>20}{'peak GiB':>10}"]
    for name, seconds in found["seconds"].items():
        ratio, cpu = found["ratio"].get(name), found["ratio_of_cpu_seconds"].get(name)
        shown = "{median:.2f} ({minimum:.2f}-{maximum:.2f}, n={n})".format(**ratio) if ratio else ""
        cpu_shown = f"{cpu['median']:.2f}" if cpu else ""
        memory = found["peak_memory_gib"][name]
        lines.append(f"{name:34}{seconds['median']:>10.2f}{shown:>28}{cpu_shown:>20}{memory:>10.2f}")
    return "\n".join(lines)


def compare(options: argparse.Namespace) -> None:
    """Run everything, write the JSON, print the table."""
    if options.quick:
        options.images, options.repeats, options.top5_repeats = WARM_UP, 1, 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(runtime.available_processors())
    rows = rounds(options)
    check_same_product(rows)
    found = report(rows)
    print(table(found))
    if options.quick:
        print("--quick: a smoke test at a size too small to say anything about speed")
    sizes = {name: getattr(options, name) for name in ("images", "repeats", "top5_repeats", "tol", "quick")}
    head = {"environment": runtime.environment(device=torch.device("cpu")), **sizes}
    options.json.write_text(json.dumps({**head, **found, "turns": rows}, indent=2) + "\n")


def main() -> None:
    """Parse the command line; a worker's is for this script's own use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3, help="rounds of `product`")
    parser.add_argument("--top5-repeats", type=int, default=1, help="rounds of `top5`, the long one")
    parser.add_argument("--tol", type=float, default=1e-3, help="relative residual of `top5`")
    parser.add_argument("--quick", action="store_true", help="a smoke test at a tiny size")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=("product", "top5"), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker and options.task:
        print(json.dumps(turn(options.worker, options.task, options.images, options.steps, options.tol)))
        return
    if options.json is None or options.repeats + options.top5_repeats < 1:
        parser.error("give --json FILE, and at least 1 repeat")
    compare(options)


if __name__ == "__main__":
    main()
