"""Data augmentation: each time an image is trained on, it is mirrored, turned and shifted at random.

One of the remedies of appendix E of Keskar et al. 2017. By default horizontal reflections, rotations up to 10 degrees
and translations up to 0.2 of the size. An image x becomes

    x'(p) = x(c + R(angle) (p - c) - s),    p, c, s in pixels, c the centre,

of x mirrored first where the coin says so; between pixels x is bilinear, beyond its border it goes on as it ends.
Mirror images are exact, shifts by whole pixels too where the sizes are powers of two (elsewhere coordinates round).

An epoch uses every image once, so its moves are drawn for all of them at once, from (seed, epoch): what an image looks
like depends neither on the batch it is in nor on its place there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sharpmin.errors import UsageError

STREAM = 0x617567  # "aug": tells these random numbers from an epoch's shuffle and dropout


@dataclass(frozen=True)
class Augmentation:
    """How far an image may move.

    Attributes:
        flip: mirror every second image, left and right exchanged.
        rotation: the largest angle, in degrees.
        shift: the longest way along either axis, as a part of the size.

    """

    flip: bool = True
    rotation: float = 10.0
    shift: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what leaves nothing of an image, or of the augmentation."""
        if not 0 <= self.rotation <= 180:
            raise UsageError(f"rotation {self.rotation:g}: choose a largest angle from 0 to 180 degrees")
        if not 0 <= self.shift < 1:
            raise UsageError(f"shift {self.shift:g}: choose a part of the size from 0 to below 1")
        if not (self.flip or self.rotation or self.shift):
            raise UsageError("an augmentation that neither flips, rotates nor shifts: leave it out")


def check_images(shape: Sequence[int]) -> None:
    """Raise a UsageError unless one input is an image [C, H, W]."""
    if len(shape) != 3:
        raise UsageError(
            f"augmentation moves images [channels, height, width], and an input here is {list(shape)}: "
            "train without it on other data"
        )


def draw(augmentation: Augmentation, count: int, *, seed: int, epoch: int) -> Tensor:
    """The moves of an epoch's images.

    Args:
        augmentation: how far.
        count: of images.
        seed: of the training.
        epoch: counted from 1.

    Returns:
        A row for each image, [count, 4]: 1 to mirror it or 0, the angle in radians, and the shifts down and to the
        right as parts of the size.

    Example:
        >>> draw(Augmentation(rotation=0, shift=0.5), 1000, seed=0, epoch=1).abs().amax(0).round(decimals=1)
        tensor([1.0000, 0.0000, 0.5000, 0.5000])

    """
    word = np.random.SeedSequence([seed, epoch, STREAM]).generate_state(1, np.uint64)[0]
    uniform = torch.rand(count, 4, generator=torch.Generator().manual_seed(int(word)))
    most = torch.tensor([radians(augmentation.rotation), augmentation.shift, augmentation.shift])
    coin = (uniform[:, :1] < 0.5) & augmentation.flip
    return torch.cat([coin, (2 * uniform[:, 1:] - 1) * most], dim=1)


def move(images: Tensor, moves: Tensor) -> Tensor:
    """The images mirrored, turned and shifted.

    Args:
        images: [B, C, H, W].
        moves: a row of `draw` for each, [B, 4].

    Returns:
        New images of the same shape.

    Example:
        >>> image = torch.arange(4.0).reshape(1, 1, 1, 4)
        >>> move(image, torch.tensor([[1.0, 0, 0, 0]])), move(image, torch.tensor([[0.0, 0, 0, 0.25]]))
        (tensor([[[[3., 2., 1., 0.]]]]), tensor([[[[0., 0., 1., 2.]]]]))

    """
    mirrored = torch.where(moves[:, 0, None, None, None] > 0, images.flip(-1), images)
    return F.grid_sample(mirrored, sources(moves, *images.shape[-2:]), padding_mode="border", align_corners=False)


def sources(moves: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel of the moved images is taken from, in `grid_sample`'s units, [B, H, W, 2]: (right, down)."""
    down = (torch.arange(height, device=moves.device) - (height - 1) / 2)[:, None]
    right = torch.arange(width, device=moves.device) - (width - 1) / 2
    cos, sin = (f(moves[:, 1])[:, None, None] for f in (torch.cos, torch.sin))
    shift_down, shift_right = (moves[:, i, None, None] * size for i, size in ((2, height), (3, width)))
    from_right = cos * right - sin * down - shift_right
    from_down = sin * right + cos * down - shift_down
    return torch.stack([2 * from_right / width, 2 * from_down / height], dim=-1)
