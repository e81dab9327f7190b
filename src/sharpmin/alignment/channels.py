"""Which channels of a network may be permuted together, read off a symbolic trace (torch.fx) of its forward pass.

Every activation is followed from the layer that makes its channels to the layers that read them:

- Linear and convolution layers read the channels of their input and make new ones;
- BatchNorm has a scale, a shift and two statistics for each channel, PReLU a slope;
- elementwise functions, dropout, softmax and pooling keep the channels; flattening an image makes blocks of them;
- a sum or product of two activations ties their channels: one permutation serves both, as along the skip connections
  of a residual network;
- what the network is given, and what it returns, stays in its order, and so does all that is tied to it.

Anything else that meets channels that could be permuted is refused, with its name and place: a wrong rule here would
give a network with another function. What takes data to be seen is tested in `sharpmin.alignment.function`.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from torch import fx, nn

from sharpmin.alignment.spaces import Slot, Space
from sharpmin.alignment.tracing import argument, asks, check_hooks, check_ties, flattens, name_of, placed, trace
from sharpmin.errors import UsageError
from sharpmin.network import unwrapped

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
EACH_CHANNEL = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.PReLU)
SAME_CHANNELS = """
    identity dropout dropout1d dropout2d dropout3d alpha_dropout featurealphadropout feature_alpha_dropout
    relu relu_ relu6 leakyrelu leaky_relu elu selu celu gelu silu mish tanh sigmoid softplus softsign hardtanh
    hardsigmoid hardswish tanhshrink hardshrink softshrink threshold logsigmoid softmax softmax2d logsoftmax log_softmax
    contiguous clone detach float double half bfloat16 to type abs exp log sqrt square neg clamp
    add iadd add_ sub isub sub_ mul imul mul_ truediv itruediv div div_ pow maximum minimum
"""
ELEMENTWISE = frozenset(SAME_CHANNELS.split())
POOLING = frozenset(
    f"{kind}{join}pool{n}d"
    for kind, join in (
        *(("max", ""), ("avg", ""), ("adaptivemax", ""), ("adaptiveavg", "")),
        *(("max", "_"), ("avg", "_"), ("adaptive_max", "_"), ("adaptive_avg", "_")),
    )
    for n in (1, 2, 3)
)


@dataclass(frozen=True)
class Channels:
    """The channels of an activation.

    Attributes:
        made_by: the layer.
        size: how many.
        layout: "rows" [B, C], "image" [B, C, ...], or "flat" [B, C times the pixels of an image].
        pixels: spatial axes of an image.

    """

    made_by: str
    size: int
    layout: Literal["rows", "image", "flat"]
    pixels: int = 0

    @property
    def described(self) -> str:
        """For an error message."""
        form = {"rows": "rows [B, C]", "image": "an image", "flat": "a flattened image"}[self.layout]
        return f"{form} of the {self.size} channels of {self.made_by!r}"


FIXED, NUMBER = ".fixed", ".number"  # an activation that keeps its order; what is no activation. No layer is called so
Value: TypeAlias = Channels | str


def trace_spaces(model: nn.Module) -> tuple[Space, ...]:
    """Find the axes of a model's tensors that have to be permuted together.

    Args:
        model: any module; it is called once, with symbols in the place of tensors, and not changed.

    Returns:
        The spaces in the order of the forward pass, each under the name of the layer that makes its channels.

    Raises:
        UsageError: the model cannot be traced, or does something to channels for which there is no rule; the message
            names the operation and the module.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> for space in trace_spaces(network):
        ...     print(space.name, space.size, [(slot.tensor, slot.axis) for slot in space.slots])
        0 8 [('0.weight', 0), ('0.bias', 0), ('2.weight', 1)]

    """
    model = unwrapped(model)
    check_hooks(model)
    check_ties(model)
    graph = trace(model)
    reader = Reader(model)
    for node in graph.nodes:
        reader.values[node] = reader.read(node)
    return reader.spaces()


class Reader:
    """What each operation does to channels; equal channels are found as the sets of a union-find forest."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.values: dict[fx.Node, Value] = {}
        self.sizes: dict[str, int] = {}
        self.parents: dict[str, str] = {FIXED: FIXED}
        self.slots: list[tuple[str, Slot]] = []
        self.called: set[str] = set()

    def spaces(self) -> tuple[Space, ...]:
        """The sets, but for what is fixed."""
        slots: dict[str, list[Slot]] = {}
        for maker, slot in self.slots:
            slots.setdefault(self.root(maker), []).append(slot)
        return tuple(
            Space(name, size, tuple(slots[name])) for name, size in self.sizes.items() if self.root(name) == name
        )

    def root(self, name: str) -> str:
        """The first layer of the set that this layer's channels belong to."""
        while self.parents[name] != name:
            name = self.parents[name]
        return name

    def tie(self, one: str, other: str) -> None:
        """Make one set of two; what is fixed stays so, and else the earlier layer gives the name."""
        order = [FIXED, *self.sizes]
        first, second = sorted((self.root(one), self.root(other)), key=order.index)
        self.parents[second] = first

    def read(self, node: fx.Node) -> Value:
        """The channels that the node gives."""
        inputs = [self.values[argument] for argument in node.all_input_nodes]
        if node.op == "output":
            for value in inputs:
                if isinstance(value, Channels):
                    self.tie(FIXED, value.made_by)
            return NUMBER
        if node.op == "call_module":
            return self.read_module(node, self.modules[str(node.target)], inputs)
        if inputs and (asks(node) or all(value == NUMBER for value in inputs)):
            return NUMBER
        return self.read_function(node, inputs) if any(isinstance(value, Channels) for value in inputs) else FIXED

    def read_module(self, node: fx.Node, module: nn.Module, inputs: list[Value]) -> Value:
        """The channels that a layer gives."""
        name, kind = str(node.target), type(module).__name__.lower()
        holds = any(tensor.startswith(f"{name}.") for tensor in self.tensors)
        if holds:
            if name in self.called:
                raise self.refusal(node, "it is called twice, and there is no rule for weights used twice")
            self.called.add(name)
        if isinstance(module, (nn.Linear, *CONVOLUTIONS)) and len(inputs) == 1:
            return self.read_weights(node, module, inputs[0])
        if isinstance(module, EACH_CHANNEL) and len(inputs) == 1:
            return self.read_each(node, inputs[0])
        if not holds and not any(isinstance(value, Channels) for value in inputs):
            return FIXED
        if kind in ELEMENTWISE and not holds:
            return self.joined(node, inputs)
        if kind in POOLING:
            return self.pooled(node, inputs[0])
        if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
            return self.flattened(inputs[0])
        raise self.refusal(node, "there is no rule for it")

    def read_weights(self, node: fx.Node, module: nn.Module, value: Value) -> Value:
        """A Linear or a convolution: its columns follow the channels it is given, its rows make new ones."""
        name, image = str(node.target), isinstance(module, CONVOLUTIONS)
        if getattr(module, "groups", 1) != 1:
            raise self.refusal(
                node, f"it has groups={module.groups}, and there is no rule for grouped or depthwise layers"
            )
        if f"{name}.weight" not in self.tensors:
            raise self.refusal(node, "its weight is computed from other tensors (a parametrization)")
        rows, columns, *window = self.tensors[f"{name}.weight"].shape
        if isinstance(value, Channels):
            if image != (value.layout == "image"):
                raise self.refusal(
                    node, f"it reads {'an image' if image else 'rows [B, C]'} and is given {value.described}"
                )
            self.follow(node, value, "weight", 1, entries=columns)
        self.sizes[name], self.parents[name] = rows, name
        self.slots.append((name, Slot(f"{name}.weight", 0)))
        if f"{name}.bias" in self.tensors:
            self.slots.append((name, Slot(f"{name}.bias", 0)))
        return Channels(name, rows, "image" if image else "rows", len(window))

    def read_each(self, node: fx.Node, value: Value) -> Value:
        """A BatchNorm or PReLU: each channel has its own numbers, or all have one."""
        if isinstance(value, Channels):
            for part in ("weight", "bias", "running_mean", "running_var"):
                own = self.tensors.get(f"{node.target}.{part}")
                if own is not None and (len(own) != 1 or value.size == 1):
                    self.follow(node, value, part, 0, entries=len(own))
        return value

    def follow(self, node: fx.Node, value: Channels, part: str, axis: int, *, entries: int) -> None:
        """Note that an axis of a layer's tensor has to follow these channels."""
        block = entries // value.size if value.layout == "flat" else 1
        if block * value.size != entries:
            raise self.refusal(node, f"it reads {entries} channels, and {value.made_by!r} makes {value.size}")
        self.slots.append((value.made_by, Slot(f"{node.target}.{part}", axis, block)))

    def read_function(self, node: fx.Node, inputs: list[Value]) -> Value:
        """The channels that a function or a method gives."""
        name = name_of(node)
        first = inputs[0]
        if name in ELEMENTWISE:
            return self.joined(node, inputs)
        if name in POOLING:
            return self.pooled(node, first)
        if isinstance(first, Channels) and all(value == NUMBER for value in inputs[1:]):
            if flattens(node):
                return self.flattened(first)
            if name == "mean" and first.layout == "image":
                return self.averaged(node, first)
        if name in ("view", "reshape"):
            raise self.refusal(
                node, "it is not shown to give one row for each example, as flatten(1) and view(x.size(0), -1) do"
            )
        raise self.refusal(node, "there is no rule for it")

    def joined(self, node: fx.Node, inputs: list[Value]) -> Value:
        """An elementwise function of one activation or more: all of their channels are tied."""
        several = [value for value in inputs if isinstance(value, Channels)]
        for other in several[1:]:
            if (other.layout, other.size) != (several[0].layout, several[0].size):
                raise self.refusal(node, f"it joins {several[0].described} with {other.described}")
            self.tie(several[0].made_by, other.made_by)
        if FIXED in inputs:
            self.tie(FIXED, several[0].made_by)
        return several[0]

    def pooled(self, node: fx.Node, value: Value) -> Value:
        """Pooling keeps the channels of an image."""
        if isinstance(value, Channels) and value.layout != "image":
            raise self.refusal(node, f"it reads an image and is given {value.described}")
        return value

    def flattened(self, value: Value) -> Value:
        """An image becomes blocks of columns; rows are flat already."""
        return replace(value, layout="flat") if isinstance(value, Channels) and value.layout == "image" else value

    def averaged(self, node: fx.Node, value: Channels) -> Value:
        """The mean over all pixels of an image."""
        axes = argument(node, 1, "dim", ())
        axes = {axes} if isinstance(axes, int) else set(axes or ())
        if axes not in (set(range(2, 2 + value.pixels)), set(range(-value.pixels, 0))):
            raise self.refusal(node, f"it averages over the axes {sorted(axes)}, not over all pixels")
        return value if argument(node, 2, "keepdim", False) else replace(value, layout="rows")

    def refusal(self, node: fx.Node, why: str) -> UsageError:
        """The error that names the operation and the module."""
        if node.op == "call_module":
            what = f"{type(self.modules[str(node.target)]).__name__} (module {str(node.target)!r})"
        else:
            inside = next(reversed(node.meta.get("nn_module_stack", {})), "")
            what = f"{name_of(node)} in {placed(inside, self.modules[inside])}"
        return UsageError(
            f"the channels of this network cannot be followed through {what}: {why}; docs/connect.md lists what can be"
        )
