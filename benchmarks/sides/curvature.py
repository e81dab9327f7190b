"""Products with the Hessian, its largest eigenvalues and its trace.

The libraries choose their own means: SciPy's eigsh on curvlinops' operator; hessian-eigenthings' own Lanczos, which
does not stop by itself and is told its steps; PyHessian's power iteration, one eigenvalue after the other, at most 100
steps each, which stops when an estimate changes by less than the tolerance. Of the trace all are asked with as many
products: Hutch++ by sharpmin and hessian-eigenthings, Hutchinson's mean of samples by curvlinops and PyHessian.
"""

import importlib
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin import data
from sharpmin.measures import trace
from sharpmin.measures.lanczos import eigenpairs
from sharpmin.objective import Objective
from sharpmin.products import Curvature
from sides.problem import Problem

Times = Callable[..., Any]
Pairs = tuple[Tensor, Tensor]  # values, and vectors one a row


class Counted:
    """A product that counts its calls."""

    def __init__(self, times: Times) -> None:
        self.times, self.calls = times, 0

    def __call__(self, *args: Any) -> Any:
        """The product."""
        self.calls += 1
        return self.times(*args)


def operator(side: str, problem: Problem) -> Any:
    """The Hessian as a library's own operator."""
    model, examples = problem.model(), problem.examples()
    inputs, targets = examples.inputs, examples.targets
    if side == "sharpmin":
        f = Objective(model, data.Examples(inputs, targets), batch_norm="batch", batch_size=problem.images)
        return Curvature(f)
    if side.startswith("eigenthings"):
        from hessian_eigenthings import HessianOperator, supervised_loss

        return HessianOperator(model, [(inputs, targets)], supervised_loss(F.cross_entropy))
    if side == "pyhessian":
        return pyhessian(model, inputs, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch, in one of its requirements
        from curvlinops import HessianLinearOperator

    weights, batches = list(model.parameters()), [(inputs, targets)]
    return HessianLinearOperator(model, nn.CrossEntropyLoss(), weights, batches, check_deterministic=False)


def pyhessian(model: nn.Module, inputs: Tensor, targets: Tensor) -> Any:
    """PyHessian's object, which keeps the graph of the gradient; its products are counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of PyTorch: a graph that refers to itself
        library: Any = importlib.import_module("pyhessian.hessian")
        matrix = library.hessian(model, nn.CrossEntropyLoss(), data=(inputs, targets), cuda=False)
    if not isinstance(library.hessian_vector_product, Counted):
        library.hessian_vector_product = Counted(library.hessian_vector_product)
    matrix.counted = library.hessian_vector_product
    matrix.counted.calls = 0
    torch.manual_seed(0)
    return matrix


def top5(side: str, matrix: Any, steps: int, tol: float) -> tuple[Pairs, int]:
    """The five largest eigenvalues with their vectors, by the library's own means, and the products spent."""
    if side == "sharpmin":
        found = eigenpairs(matrix, k=5, tol=tol)
        return (found.values, found.vectors), found.products
    if side == "eigenthings":
        from hessian_eigenthings import lanczos

        result = lanczos(matrix, k=5, max_iter=steps, which="LA", reorthogonalize=True, tol=tol, seed=0)
        return (result.eigenvalues, result.eigenvectors), result.iterations
    if side == "pyhessian":
        powers, vectors = matrix.eigenvalues(maxIter=100, tol=tol, top_n=5)
        flat = torch.stack([torch.cat([part.reshape(-1) for part in vector]) for vector in vectors])
        return (torch.tensor(powers, dtype=torch.float64), flat), matrix.counted.calls
    return by_eigsh(matrix, tol)


def by_eigsh(matrix: Any, tol: float) -> tuple[Pairs, int]:
    """SciPy's on curvlinops' operator."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    counted, whole = Counted(lambda v: matrix @ v), matrix.to_scipy(dtype=np.float32)
    times = lambda v: counted(torch.from_numpy(v.reshape(-1))).numpy()  # noqa: E731
    start = np.random.default_rng(0).standard_normal(whole.shape[0], dtype=np.float32)
    values, vectors = eigsh(LinearOperator(whole.shape, times, dtype=np.float32), k=5, which="LA", tol=tol, v0=start)
    return (torch.from_numpy(values), torch.from_numpy(vectors.T.copy())), counted.calls


def relative_residuals(problem: Problem, pairs: Pairs) -> list[float]:
    """|A y - lambda y| / lambda of each pair, largest eigenvalue first, with sharpmin's products."""
    matrix, (values, vectors) = operator("sharpmin", problem), pairs
    order = values.argsort(descending=True).tolist()
    return [((matrix @ vectors[i] - values[i] * vectors[i]).norm() / values[i]).item() for i in order]


def trace_of(side: str, matrix: Any, products: int) -> tuple[float, float]:
    """The trace from so many products, and how far chance may have put it off: its 99.9% interval, to either side."""
    if side == "sharpmin":
        found = trace(matrix, products=products)
        return found.value, interval(found.standard_error, len(found.samples))
    if side == "eigenthings":
        import hessian_eigenthings

        result = hessian_eigenthings.trace(matrix, num_matvecs=products, method="hutch++", seed=0)
        return result.estimate, interval(result.stderr, len(result.samples))
    if side == "pyhessian":
        samples = matrix.trace(maxIter=products, tol=-math.inf)  # at 0 it would stop as soon as its mean is negative
        return mean_and_error(samples)
    from curvlinops import hutchinson_trace

    torch.manual_seed(0)
    return mean_and_error([float(hutchinson_trace(matrix, 1)) for _ in range(products)])


def mean_and_error(samples: list[float]) -> tuple[float, float]:
    """Their mean and its interval."""
    numbers = torch.tensor(samples, dtype=torch.float64)
    return numbers.mean().item(), interval((numbers.std() / math.sqrt(len(samples))).item(), len(samples))


def interval(standard_error: float, samples: int) -> float:
    """Half of the 99.9% confidence interval of a mean; of few samples, whose spread is uncertain, it is wide."""
    from scipy.stats import t

    return standard_error * float(t.ppf(0.9995, samples - 1))
