"""f(theta): the mean loss of a model over a fixed data set, as a function of one flat weight vector.

This is the seam of the package. Batches, devices, precision and BatchNorm are settled here; every measure
and every landscape above sees only

    f(theta) = (1/N) sum_{i=1}^{N} loss(model(theta; x_i), y_i)

and its gradient. The per-example losses are summed in float64 and divided by N once, so a ragged last batch
weighs what it should and the gradient is the gradient of exactly that number.

Vectors of length n held beside the model and theta: for a value none. For a gradient four at the most: its sum, one
batch's share of it whole and in pieces, and what the backward pass has not let go of.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain, islice, product, repeat
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sharpmin import batching
from sharpmin.arithmetic import Precision, check_precision, forward_pass, matrix_unit
from sharpmin.batching import DEFAULT_BATCH, Data, Pair, check_batch_size, check_data
from sharpmin.batchnorm import Policy, check_policy, estimating, evaluating, norms
from sharpmin.combination import Combination, First, FirstLayer, FirstLayers
from sharpmin.distributed.agreement import check_alike, tensors_in
from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import UsageError
from sharpmin.losses import Loss, Scored, Sum, check_depends, classification, counting, on_host, summed, unmasked
from sharpmin.measurement import Measurement, Tally
from sharpmin.network import Host, Swapped
from sharpmin.passes import Turn, drawing, turns
from sharpmin.randomness import RandomStream
from sharpmin.weights import layout

__all__ = ["DEFAULT_BATCH", "Measurement", "Objective", "Precision", "Scored", "Sum", "classification"]

Buffers = Mapping[str, Tensor]
Found = TypeVar("Found")
MEMORY = 2**31  # bytes of weight vectors held together
HELD = 2**29  # bytes of inputs whose batches are held from one group of thetas to the next


class Objective:
    """The mean loss of `model` over `data`, as a function of its flat weight vector.

    The model is used, not copied; its weights, mode, buffers and the random state come back as they were. Each batch
    draws its random numbers, if any, from a seed that is its number.

    Args:
        model: any `nn.Module` on one device. A model stored in 16 bits is measured in float32: a box of 1e-3 around
            a weight is finer than bfloat16 can resolve.
        data: an object with tensors `inputs` and `targets` ([N, ...] each), or any re-iterable of batches of any
            type (tuples, dicts, dataclasses).
        loss: `loss(model, batch)` gives per-example losses [B], or (sum, count), or `Scored`; by default
            cross-entropy on (input, target), without targets of -100. It must call the model that it is given.
        batch_norm: "running" (as stored, the default), "batch" (of the evaluation batch), or "recalibrate" (estimated
            anew at every theta); see `sharpmin.batchnorm`.
        batch_size: examples per evaluation batch for tensor data; by default the whole set up to 5000. With
            batch statistics it is part of the definition of f. An iterable keeps its own batches, and
            `objective.batch_size` is None.
        device: where to compute; by default where the model's weights are. It must have float64, in which losses are
            summed: a model on Apple's "mps" is measured with device="cpu".
        precision: "float32" computes in the dtype of the weights; "tf32", on a GPU only, lets its matrix products
            round their operands; "bfloat16" computes under autocast. See docs/precision.md.
        parameters: names of the parameters that make up theta; by default all that require a gradient.
        calibration: training data for "recalibrate"; by default `data`.
        group: processes that share the batches out; each has the same model and all of the data, and asks the same.

    Raises:
        UsageError: unknown policy, precision or parameter; empty data; a batch size below 1; a model spread over
            several devices; a device that is not here, or has no float64.
        RunError: the processes have different weights, buffers or data.

    Example:
        >>> from sharpmin import data, zoo
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> value, gradient = f.value_and_grad(f.theta)
        >>> gradient.shape
        torch.Size([15])

    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        *,
        loss: Loss = classification,
        batch_norm: Policy | None = None,
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        precision: Precision = "float32",
        parameters: Iterable[str] | None = None,
        calibration: Data | None = None,
        group: Group = ALONE,
    ) -> None:
        check_policy(batch_norm or "running")
        self.host = Host(model, device)
        self.model, self.device = self.host.model, self.host.device
        check_precision(precision, self.device)
        self.layout = layout(self.model, parameters=parameters)
        self.data = data
        self.calibration = data if calibration is None else calibration
        self.batch_size = check_batch_size(data, batch_size)
        check_data(self.calibration)
        every = loss is classification and isinstance(data, Pair) and bool(counting(data.targets).all())
        self.loss, self.group = unmasked if every else loss, group
        self.batch_norm: Policy = batch_norm or "running"
        self.undecided = batch_norm is None and bool(norms(self.model))
        self.precision: Precision = precision
        self._buffers: Mapping[str, Tensor] = {}
        if group.size > 1:
            self._check_alike()

    @property
    def theta(self) -> Tensor:
        """The model's present weights as one new vector [n] on the objective's device."""
        return self.layout.flatten(dict(self.model.named_parameters())).to(self.device, self.host.widen)

    def value(self, theta: Tensor) -> float:
        """f(theta), without a gradient."""
        return self.measure(theta).loss

    def measure(self, theta: Tensor) -> Measurement:
        """Loss and accuracy at theta [n].

        NaN and infinite losses are returned as they are, with the batch they came from.
        """
        return self.measure_many([theta])[0]

    def measure_many(
        self, thetas: Iterable[Tensor | Combination], *, buffers: Iterable[Buffers] | None = None, memory: int = MEMORY
    ) -> tuple[Measurement, ...]:
        """Loss and accuracy at each theta [n]: what `measure` gives one by one, bit for bit (see `sharpmin.passes`).

        Every batch is fetched once and evaluated at all of them. They may be made one by one, by a generator: as many
        are held as fit into the budget, one at least, and each such group takes a pass over the data.

        A network that begins with a dense layer is the faster evaluated where it is said what a theta is a sum of, and
        then equal to rounding only (see `sharpmin.combination`); at a vector itself still bit for bit.

        Args:
            thetas: [n] each; or with what they are sums of.
            buffers: for each theta those that differ from the objective's own, as in `with_buffers`.
            memory: budget in bytes, 8 for a weight. One more vector is alive while the next is made.

        Example:
            >>> from sharpmin import data
            >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
            >>> f = Objective(nn.Linear(4, 3), toy.train)
            >>> a, b = f.measure_many(f.theta + step for step in (0.0, 0.1))
            >>> (a, b) == (f.measure(f.theta), f.measure(f.theta + 0.1))
            True

        """
        return tuple(chain.from_iterable(self.measure_groups(thetas, buffers=buffers, memory=memory)))

    def measure_groups(
        self,
        thetas: Iterable[Tensor | Combination],
        *,
        buffers: Iterable[Buffers] | None = None,
        together: int | None = None,
        memory: int = MEMORY,
    ) -> Iterator[list[Measurement]]:
        """What `measure_many` gives, group by group, each as soon as it is finished.

        Args:
            thetas: as there.
            buffers: as there.
            together: in a group, at the most; by default as many as fit into the budget.
            memory: as there.

        Example:
            >>> from sharpmin import data
            >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
            >>> f = Objective(nn.Linear(4, 3), toy.train)
            >>> [len(group) for group in f.measure_groups((f.theta + step for step in range(5)), together=2)]
            [2, 2, 1]

        """
        fitting = max(1, memory // (8 * self.layout.size))
        many = fitting if together is None else min(together, fitting)
        points, own = iter(thetas), repeat({}) if buffers is None else iter(buffers)
        first, batches = FirstLayers(self._first_layer), self._read_again()
        while found := self._measured(islice(points, many), own, first, batches):
            yield found

    def value_and_grad(self, theta: Tensor) -> tuple[float, Tensor]:
        """f(theta) and its gradient [n], from one pass over the data.

        The gradient is in theta's dtype and of the same sum of per-example losses as the value.
        """
        gradient, found, tally = None, list[tuple[int, Sum]](), Tally()
        for number, (one, share) in enumerate(self.gradients(theta, own=True)):
            gradient = share if gradient is None else gradient.add_(share)
            found.append((number, on_host(one)))
        for number, one in self.group.in_order(found):
            tally.add(number, one)
        value = tally.measurement()
        total = self.group.add_(torch.zeros_like(theta, device=self.device) if gradient is None else gradient)
        return value.loss, total.div_(value.examples)

    def gradients(self, theta: Tensor, *, own: bool = False) -> Iterator[tuple[Sum, Tensor]]:
        """For each batch, or this process's own, what it adds to f, and the gradient [n] of the sum of its losses.

        Raises:
            UsageError: under "recalibrate", or where the loss does not depend on the weights it is given.

        """
        self.check_differentiable()
        pieces = {name: piece.requires_grad_() for name, piece in self.pieces(theta).items()}
        network = self.at(pieces)
        for random, batch in self.drawing(own=own):
            with random:
                found = self.gradient(network, list(pieces.values()), batch)
            yield found

    @torch.enable_grad()
    def gradient(self, network: Swapped, pieces: Sequence[Tensor], batch: Any) -> tuple[Sum, Tensor]:
        """What one batch adds to f, and the gradient [n] of the sum of its losses in the network's weights.

        Args:
            network: of `at`.
            pieces: its weights, in theta's order; they require a gradient.
            batch: on the device.

        """

        def differentiate(model: nn.Module, batch: Any) -> tuple[Sum, Tensor]:
            found = self._scored(model, batch)
            check_depends(found.total)
            shares = torch.autograd.grad(found.total, pieces, allow_unused=True, materialize_grads=True)
            return found._replace(total=found.total.detach()), torch.cat(
                [share.detach().reshape(-1) for share in shares]
            )

        with self.arithmetic():
            return self.lend(network, differentiate, batch)

    def recalibrated(self, theta: Tensor) -> "Objective":
        """The same f with running statistics estimated at theta [n], and held there.

        Under "recalibrate" the gradient of f cannot be taken; around one theta this is what to differentiate.
        """
        buffers = self.host.buffers(self._buffers)
        self._estimate([self.pieces(theta)], [buffers])
        return self.with_buffers(buffers, batch_norm="recalibrated")

    def differentiable(self) -> "Objective":
        """The same f with a gradient: under "recalibrate" with statistics estimated at the present weights and held."""
        return self.recalibrated(self.theta) if self.batch_norm == "recalibrate" else self

    def with_buffers(self, buffers: Mapping[str, Tensor], *, batch_norm: Policy | None = None) -> "Objective":
        """The same f with other buffers than the model's own, such as another checkpoint's running statistics."""
        known = dict(self.model.named_buffers())
        if unknown := [name for name in buffers if name not in known]:
            raise UsageError(f"no such buffers: {', '.join(unknown)}; the model has {', '.join(known) or 'none'}")
        other = copy.copy(self)
        other._buffers = {**self._buffers, **{name: tensor.detach() for name, tensor in buffers.items()}}
        other.batch_norm = batch_norm or self.batch_norm
        return other

    def over(self, examples: Any, *, batch_size: int) -> "Objective":
        """The same f over some of its own examples, such as `Shuffled` ones, or over all in batches of another size."""
        other = copy.copy(self)
        other.data, other.batch_size = examples, batch_size
        return other

    def batches(self, *, own: bool = False) -> Iterator[Any]:
        """The batches of the data, on the device: all, or this process's own share of them."""
        return self._read(self.data, self.group.turns if own else slice(None))

    def drawing(self, *, own: bool = False) -> Iterator[tuple[RandomStream, Any]]:
        """The same batches, each with the random numbers that its loss draws."""
        return drawing(self.batches(own=own), self.device, turns=self.group.turns if own else slice(None))

    def pieces(self, theta: Tensor) -> dict[str, Tensor]:
        """The named weights at theta [n]: detached views of it, on the device."""
        self.group.check_same(theta)
        return self.layout.unflatten(theta.detach().to(self.device))

    def at(self, weights: Mapping[str, Tensor], *, plain: bool = False) -> Swapped:
        """The network with these weights in place of its own, to be called like the model.

        Args:
            weights: the tensors of theta by name, which may require a gradient.
            plain: do without the blocked computation, which has no second derivatives.

        """
        return self._networks([weights], [{}], plain=plain)[0]

    def lend(self, network: Swapped, use: Callable[[nn.Module, Any], Found], batch: Any) -> Found:
        """`use(model, batch)` while the model holds the network's tensors and is in evaluation mode.

        A backward pass belongs in here: one that computes activations again (`torch.utils.checkpoint`) calls the model.
        """
        with evaluating(self.model, self.batch_norm):
            return network.lend(use, batch)

    def score(self, network: nn.Module, batch: Any) -> Sum:
        """What a batch adds to f, computed by `network` in evaluation mode under the BatchNorm policy."""
        with evaluating(self.model, self.batch_norm):
            return self._scored(network, batch)

    def _scored(self, network: nn.Module, batch: Any) -> Sum:
        """The same of a model that is in evaluation mode."""
        with forward_pass(self.precision, self.device):
            scored = network.lend(self.loss, batch) if isinstance(network, Swapped) else self.loss(network, batch)
            return summed(scored)

    def arithmetic(self) -> AbstractContextManager[None]:
        """What a pass that differentiates `score` itself has around both (see `sharpmin.arithmetic`)."""
        return matrix_unit(self.precision, self.device)

    def check_differentiable(self) -> None:
        """Raise a UsageError under "recalibrate"."""
        if self.batch_norm == "recalibrate":
            raise UsageError(
                'under batch_norm="recalibrate" the statistics move with theta and no gradient is taken: use '
                'objective.recalibrated(theta), which estimates them once and holds them, or batch_norm="batch"'
            )

    def _check_alike(self) -> None:
        """Raise a RunError where the processes have other networks, or other data as their first batch tells."""
        once = isinstance(self.data, Iterator)  # and what was read for this would be lost
        first = () if once else tensors_in(next((batch for _, batch in self.drawing()), ()))
        named = (*self.model.named_parameters(), *self.model.named_buffers())
        check_alike(self.group, weights=[tensor for _, tensor in named], data=first)

    def _read(self, data: Data, turns: slice) -> Iterator[Any]:
        return batching.batches(
            data,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.host.widen,
            channels_last=self.host.chain,  # another's model may count on the layout of its inputs
            turns=turns,
        )

    def _read_again(self) -> Callable[[], Iterable[Any]]:
        """What gives this process's own batches, as often as it is called.

        They are the same tensors each time where a first layer may know them again, and they are not many.
        """
        read = partial(self._read, self.data, self.group.turns)
        if self.host.dense is None or not isinstance(self.data, Pair) or self.data.inputs.nbytes > HELD:
            return read
        held = list(read())
        return lambda: held

    @torch.no_grad()
    def _measured(
        self,
        thetas: Iterator[Tensor | Combination],
        buffers: Iterator[Buffers],
        first: FirstLayers,
        batches: Callable[[], Iterable[Any]],
    ) -> list[Measurement]:
        """Measure at all of the points over one pass."""
        points = list(thetas)
        if not points:
            return []
        weights = [self.pieces(point.theta if isinstance(point, Combination) else point) for point in points]
        networks = self._networks(weights, list(islice(buffers, len(points))), first=first.of(points))
        tallies, found = [Tally() for _ in networks], list[tuple[int, int, Sum]]()
        for turn in self._turns(self.data, networks, batches(), self.group.turns):
            with turn.random:
                one = self.score(networks[turn.network], turn.batch)
            found.append((turn.number, turn.network, on_host(one)))
        for number, network, one in self.group.in_order(found):
            tallies[network].add(number, one)
        return [tally.measurement() for tally in tallies]

    def _networks(
        self,
        weights: Sequence[Mapping[str, Tensor]],
        given: Sequence[Buffers],
        *,
        plain: bool = False,
        first: Sequence[First | None] | None = None,
    ) -> list[Swapped]:
        """The networks with these weights and these buffers, or under "recalibrate" with statistics of their own."""
        buffers = [self.host.buffers(self.with_buffers(own)._buffers) for own in given]
        if self.batch_norm == "recalibrate":
            self._estimate(weights, buffers)
        each = zip(weights, buffers, first or [None] * len(weights), strict=True)
        return [self.host.with_tensors(own, held, plain=plain, first=start) for own, held, start in each]

    def _first_layer(self, vectors: Sequence[Tensor]) -> FirstLayer | None:
        """What computes the first layer at sums of these vectors, where that may be done.

        A loss of somebody else's may hand the network another input than the batch's, or ask it twice; and bfloat16
        would round what is added up.
        """
        if (
            self.loss not in (classification, unmasked)
            or not isinstance(self.data, Pair)
            or self.precision == "bfloat16"
        ):
            return None
        pieces = [self.pieces(vector) for vector in vectors]
        return self.host.first_layer(pieces, examples=self.batch_size or DEFAULT_BATCH)

    @torch.no_grad()
    def _estimate(self, weights: Sequence[Mapping[str, Tensor]], buffers: Sequence[dict[str, Tensor]]) -> None:
        """Write the running statistics at these weights to the buffers: the mean over the training batches."""
        for held, name in product(buffers, norms(self.model)):
            for key, start in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
                held[f"{name}.{key}" if name else key].fill_(start)
        pairs = zip(weights, buffers, strict=True)
        networks = [self.host.with_tensors(own, held, plain=True) for own, held in pairs]
        every = slice(None)
        for turn in self._turns(self.calibration, networks, self._read(self.calibration, every), every):
            with estimating(self.model), forward_pass(self.precision, self.device), turn.random:
                networks[turn.network].lend(self.loss, turn.batch)

    def _turns(self, data: Data, networks: Sequence[Swapped], batches: Iterable[Any], which: slice) -> Iterator[Turn]:
        """Show every batch to every network: a copy of its own, but of a pair, which no loss may write to anyway."""
        own = partial(batching.moved, device=self.device, copied=not isinstance(data, Pair))
        return turns(batches, len(networks), self.device, copied=own, which=which)
