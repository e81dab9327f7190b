"""The Hessian of f at theta, or its Gauss-Newton matrix, as something to multiply vectors with.

    H = (1/N) sum_i d^2 loss_i / d theta^2
    G = (1/N) sum_i J_i^T (d^2 loss_i / d z_i^2) J_i,    J_i = d z_i / d theta, with z_i the model's outputs

G is what is left of H when the model is replaced by its linearisation. Where the loss is convex in the outputs it has
no negative eigenvalue, and where the outputs are linear in theta it is H. Under batch statistics the outputs depend on
the other examples of the batch, too; J is then that of the whole batch.

Methods, all of them exact to rounding but the last:

blocked                 chains of known layers, such as the paper's networks, on a CPU: the forward and the backward
                        pass are kept (`sharpmin.products.chain`).
forward-over-reverse    networks whose operators have a forward derivative (`sharpmin.products.autograd`).
double-backward         networks that can be differentiated twice.
finite-differences      (g(theta + h v) - g(theta - h v)) / 2h with h |v| = eps^(1/3) |theta|: two gradients and an
                        error of about eps^(2/3), on request only, and for the Hessian only.

ReLU and max-pooling have no second derivative at their kinks; the exact methods count it as 0, finite differences
step across.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sharpmin.arithmetic import eps
from sharpmin.errors import UsageError
from sharpmin.measurement import check_examples
from sharpmin.objective import Objective
from sharpmin.optim.blocks import all_finite
from sharpmin.products import autograd
from sharpmin.products.autograd import Share
from sharpmin.products.operations import scripted
from sharpmin.products.outputs import Opaque
from sharpmin.products.steps import Named
from sharpmin.products.tape import Tape, can_tape
from sharpmin.runtime import available_memory
from sharpmin.weights import layout, matching

Matrix = Literal["hessian", "gauss-newton"]
Method = Literal["auto", "blocked", "forward-over-reverse", "double-backward", "finite-differences"]

OnBatch = Callable[[Objective, Named, Named, Any], Share]
BY_AUTOGRAD: dict[tuple[str, str], OnBatch] = {
    ("hessian", "forward-over-reverse"): autograd.forward_over_reverse,
    ("hessian", "double-backward"): autograd.double_backward,
    ("gauss-newton", "forward-over-reverse"): autograd.gauss_newton_forward,
    ("gauss-newton", "double-backward"): autograd.gauss_newton_backward,
}
ASYMMETRY = 0.01  # of a product's length
UNKNOWN_MEMORY = 4 * 2**30  # assumed free where the system does not say


class Curvature:
    """A symmetric matrix [n, n] known by its products: `curvature @ v` is one.

    The model and the random state come back as they were. Each product draws its random numbers, if any, from the same
    seed.

    Args:
        objective: f.
        theta: the point; by default the model's present weights.
        matrix: "hessian" or "gauss-newton".
        method: of the module's text; "auto" takes the first exact one that works, at the first product.
        layers: shell-style patterns of names, for the diagonal block of some weights, such as ["features.0.*"]
            for a layer; by default all of theta.
        memory: bytes that "blocked" may keep between products; by default half of what is free.

    Attributes:
        names: the weights that v moves, in its order.
        method: how products are computed; "auto" before the first.
        passed_over: the methods that "auto" tried in vain, and why they did not do.
        products: computed so far, the test of symmetry aside.

    Raises:
        UsageError: unknown matrix, method or pattern; the policy "recalibrate"; theta of another network. At the first
            product: no exact method works, or "double-backward" gives a matrix that is not symmetric.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> hessian = Curvature(Objective(torch.nn.Linear(4, 3), toy.train))
        >>> v, u = torch.randn(2, hessian.size)
        >>> bool(((hessian @ v) @ u - (hessian @ u) @ v).abs() < 1e-4)  # it is symmetric
        True
        >>> hessian.method, hessian.products
        ('forward-over-reverse', 2)

    """

    def __init__(
        self,
        objective: Objective,
        theta: Tensor | None = None,
        *,
        matrix: Matrix = "hessian",
        method: Method = "auto",
        layers: Iterable[str] | None = None,
        memory: int | None = None,
    ) -> None:
        self.objective, self.matrix, self.method = objective, matrix, method
        self.theta = (objective.theta if theta is None else theta.detach()).to(objective.device)
        check(objective, matrix, method, self.dtype)
        self.weights = objective.pieces(self.theta)
        self.names = chosen(objective, layers)
        self.layout = layout(objective.model, parameters=self.names)
        self.memory = (available_memory() or UNKNOWN_MEMORY) // 2 if memory is None else memory
        self.passed_over: dict[str, str] = {}
        self.products = 0
        self._tapes: list[Tape] | None = None

    @property
    def size(self) -> int:
        """The number n of weights that v moves."""
        return self.layout.size

    @property
    def shape(self) -> torch.Size:
        """[n, n]."""
        return torch.Size((self.size, self.size))

    @property
    def dtype(self) -> torch.dtype:
        """That of theta."""
        return self.theta.dtype

    @property
    def device(self) -> torch.device:
        """That of the objective."""
        return self.objective.device

    def evidence(self) -> dict[str, Any]:
        """What a number computed from products depends on, for its result."""
        return {
            "matrix": self.matrix,
            "method": self.method,
            "names": self.names,
            "batch_norm": self.objective.batch_norm,
            "batch_size": self.objective.batch_size,
            "precision": self.objective.precision,
        }

    def __matmul__(self, v: Tensor) -> Tensor:
        """The product [n] with v [n], in theta's dtype.

        Raises:
            UsageError: v is not a vector of n finite numbers, or the product is not finite; no exact method works; for
                Gauss-Newton, the loss does more with the model than call it once.

        """
        directions = self.layout.unflatten(v.detach().to(self.theta))
        if not all_finite(v):
            raise UsageError("the vector to multiply with is not finite")
        with self.objective.arithmetic():
            result = self._by_first(directions) if self.method == "auto" else self._by(self.method, directions)
            if self.method == "double-backward" and not self.products:
                self._check_symmetric(v.to(result), result)
        self.products += 1
        if not all_finite(result):
            raise UsageError(
                f"a product with the {self.matrix} matrix is not finite at theta: is f finite there "
                "(objective.value), and has every operation a second derivative at its inputs (sqrt has none at 0)?"
            )
        return result

    def _by_first(self, v: Named) -> Tensor:
        """The product by the first exact method that works, which is remembered."""
        exact: tuple[Method, ...] = ("forward-over-reverse", "double-backward")
        for method in ("blocked", *exact) if can_tape(self.objective, self.dtype) else exact:
            lost = method == "forward-over-reverse" and scripted(self.objective.model)
            own = "TorchScript loses forward derivatives" if lost else self._tried(method, v)
            reasons = self.objective.group.collect(own if isinstance(own, str) else "")
            if not (isinstance(own, str) or any(reasons)):
                self.method = method
                return self._mean(*own)
            self.passed_over[method] = next(filter(None, reasons))
        tried = "; ".join(f"{method}: {why}" for method, why in self.passed_over.items())
        raise UsageError(f'no exact product works here ({tried}): the method "finite-differences" needs only gradients')

    def _check_symmetric(self, v: Tensor, product: Tensor) -> None:
        """Raise a UsageError where u.Av and v.Au differ by more than rounding, for a random u.

        An operation's second derivative may be wrong in PyTorch, or in an autograd function of somebody's own. What
        rounding is, where the product is about 0, is told by second derivatives of f / |theta|^2.
        """
        u = torch.randn(self.size, generator=torch.Generator().manual_seed(0)).to(product)
        other = self._by("double-backward", self.layout.unflatten(u))
        curved = other.norm() + u.norm() * abs(self.objective.value(self.theta)) / (self.theta.square().sum() or 1.0)
        rounding = 100 * eps(self.dtype, self.objective.precision) * v.norm() * curved
        if (u @ product - v @ other).abs() > ASYMMETRY * product.norm() + rounding:
            again = self._by("double-backward", self.layout.unflatten(v))
            why = "some operation of this network has a wrong second derivative"
            if (again - product).norm() > ASYMMETRY * product.norm():
                why = "f is another one at each pass (sharpmin.determinism.what_is_random may say why)"
            raise UsageError(
                f"the {self.matrix} matrix that double-backward gives is not symmetric: {why}; "
                'the method "finite-differences" (of the Hessian) needs only gradients'
            )

    def _tried(self, method: Method, v: Named) -> tuple[Tensor, int] | str:
        """What this process's batches add to the product, or why the method cannot say."""
        try:
            return self._own(method, v)
        except (Opaque, RuntimeError) as error:
            if not may_pass_over(method, error):
                raise
            return str(error).splitlines()[0]

    def _by(self, method: Method, v: Named) -> Tensor:
        """The product [n]."""
        return self._differences(v) if method == "finite-differences" else self._mean(*self._own(method, v))

    def _own(self, method: Method, v: Named) -> tuple[Tensor, int]:
        """What this process's batches add to the product, summed, and their examples."""
        by_autograd = BY_AUTOGRAD.get((self.matrix, method))
        total, examples = None, 0
        for share in self._taped(v) if by_autograd is None else self._each(by_autograd, v):
            one = torch.cat([part.detach().reshape(-1).to(self.dtype) for part in share.sums])
            total = one if total is None else total.add_(one)
            examples += share.examples
        return torch.zeros(self.size, dtype=self.dtype, device=self.device) if total is None else total, examples

    def _mean(self, total: Tensor, examples: int) -> Tensor:
        """The product [n] from what each process's batches add to it."""
        group = self.objective.group
        examples = sum(group.collect(examples))
        check_examples(examples)
        return group.add_(total).div_(examples)

    def _each(self, on_batch: OnBatch, v: Named) -> Iterator[Share]:
        """What each batch adds."""
        for random, batch in self.objective.drawing(own=True):
            with random:
                share = on_batch(self.objective, self.weights, v, batch)
            yield share

    def _taped(self, v: Named) -> Iterator[Share]:
        """What each batch adds, from what was kept of it. Either all batches fit into the memory or none is kept."""
        if self._tapes is not None:
            yield from (tape.product(v) for tape in self._tapes)
            return
        tapes, gauss_newton = list[Tape](), self.matrix == "gauss-newton"
        for random, batch in self.objective.drawing(own=True):
            with random:
                tape = Tape(self.objective, self.weights, set(self.names), batch, gauss_newton=gauss_newton)
            yield tape.product(v)
            tapes.append(tape)
            if sum(tape.kept for tape in tapes) > self.memory:
                tapes, self.memory = [], 0
        self._tapes = tapes or None

    def _differences(self, v: Named) -> Tensor:
        """A central difference of gradients, along v with 0 for the weights that are not varied."""
        everywhere = {name: v.get(name, torch.zeros_like(weight)) for name, weight in self.weights.items()}
        along = self.objective.layout.flatten(everywhere)
        length = torch.linalg.vector_norm(along, dtype=torch.float64).item()
        scale = torch.linalg.vector_norm(self.theta, dtype=torch.float64).item() or 1.0
        h = eps(self.dtype, self.objective.precision) ** (1 / 3) * scale / (length or 1.0)
        _, ahead = self.objective.value_and_grad(self.theta + h * along)
        _, behind = self.objective.value_and_grad(self.theta - h * along)
        slopes = self.objective.layout.unflatten((ahead - behind) / (2 * h))
        return torch.cat([slopes[name].reshape(-1) for name in self.names])


def hessian_product(objective: Objective, theta: Tensor, v: Tensor, *, method: Method = "auto") -> Tensor:
    """H v, [n], with the Hessian of f at theta [n]; for several products at one theta make a `Curvature`.

    Args:
        objective: f.
        theta: the point, [n].
        v: the vector, [n].
        method: see `Curvature`.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> hessian_product(f, f.theta, torch.ones(15)).norm() < 1e-6  # all classes alike: the loss does not change
        tensor(True)

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian.

    """
    return Curvature(objective, theta, method=method) @ v


def curvature_of(f: "Objective | Curvature") -> Curvature:
    """The Hessian of an objective at the model's present weights; a `Curvature` as it is."""
    return f if isinstance(f, Curvature) else Curvature(f)


def check(objective: Objective, matrix: str, method: str, dtype: torch.dtype) -> None:
    """Raise a UsageError for what cannot be multiplied with."""
    objective.check_differentiable()
    if matrix not in get_args(Matrix):
        raise UsageError(f"unknown matrix {matrix!r}: choose one of {', '.join(get_args(Matrix))}")
    if method not in get_args(Method):
        raise UsageError(f"unknown method {method!r}: choose one of {', '.join(get_args(Method))}")
    if (matrix, method) == ("gauss-newton", "finite-differences"):
        raise UsageError("finite differences of gradients are the Hessian's: choose another method for gauss-newton")
    if method == "forward-over-reverse" and scripted(objective.model):
        raise UsageError(
            'TorchScript loses forward derivatives once it is optimised: choose "auto" or "double-backward"'
        )
    if method == "blocked" and not can_tape(objective, dtype):
        raise UsageError(
            'method "blocked" knows flat chains of convolutions, dense layers, ReLUs, pools and BatchNorms without '
            'running statistics, in float32 or float64 on a CPU, and a theta of the same dtype: choose "auto"'
        )


def may_pass_over(method: str, error: Exception) -> bool:
    """Whether an error says no more than that this method cannot be used here."""
    if isinstance(error, Opaque):
        return method == "blocked"
    return isinstance(error, NotImplementedError) or method == "double-backward"


def chosen(objective: Objective, patterns: Iterable[str] | None) -> tuple[str, ...]:
    """The names in theta that match one of the patterns."""
    if patterns is None:
        return objective.layout.names
    named = matching(objective.model, [patterns] if isinstance(patterns, str) else patterns)
    names = tuple(name for name in named if name in objective.layout.names)
    if not names:
        raise UsageError(f"{', '.join(named)}: none of these is in theta; name them in Objective(parameters=...)")
    return names
