"""Hooks on a module: code of somebody else's that sees, or changes, what goes through it.

What computes a network in another way than by calling it, layer by layer, would leave them out.
"""

from torch import nn


def hooked(module: nn.Module) -> bool:
    """Whether anything happens before or after its forward or backward pass. (Its own submodules are not asked.)

    Example:
        >>> layer = nn.ReLU()
        >>> handle = layer.register_forward_hook(lambda module, inputs, output: 2 * output)
        >>> hooked(layer), handle.remove(), hooked(layer)
        (True, None, False)

    """
    # PyTorch has no public name for them
    hooks = (module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks)
    return any(map(bool, hooks))
