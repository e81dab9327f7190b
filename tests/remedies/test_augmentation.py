"""Moved images against numpy and scipy.ndimage; the draws against what they promise."""

from math import pi, radians

import numpy as np
import pytest
import torch
from scipy import ndimage

from cases import F64, random
from sharpmin.errors import UsageError
from sharpmin.remedies import Augmentation
from sharpmin.remedies.augmentation import check_images, draw, move

IMAGES = random(3, 2, 8, 8)


def moved(images, *, flip=0.0, angle=0.0, down=0.0, right=0.0):
    return move(images, torch.tensor([[flip, angle, down, right]], dtype=F64).expand(len(images), 4))


def test_no_move_is_the_image_itself():
    assert torch.equal(moved(IMAGES), IMAGES)


def test_a_mirror_image_is_exact():
    np.testing.assert_array_equal(moved(IMAGES, flip=1), IMAGES.numpy()[..., ::-1])


@pytest.mark.parametrize(("down", "right"), [(2, 0), (0, -3), (1, 4), (-7, 7)])
def test_a_shift_by_whole_pixels_is_exact_and_repeats_the_border(down, right):
    rows, columns = (np.clip(np.arange(8) - by, 0, 7) for by in (down, right))
    expected = IMAGES.numpy()[:, :, rows][..., columns]
    np.testing.assert_array_equal(moved(IMAGES, down=down / 8, right=right / 8), expected)


def test_a_quarter_turn_is_numpys():
    np.testing.assert_allclose(
        moved(IMAGES, angle=pi / 2), np.rot90(IMAGES.numpy(), axes=(-2, -1)), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 1, 7, 12)])
def test_any_move_is_scipys_affine_transform(shape):
    image, angle, shift = random(*shape, seed=1), radians(8), np.array([0.13, -0.19])
    height, width = shape[-2:]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([height - 1, width - 1]) / 2
    offset = centre - turn @ centre - shift * [height, width]
    expected = [
        ndimage.affine_transform(channel[:, ::-1], turn, offset, order=1, mode="nearest")
        for channel in image[0].numpy()
    ]
    found = moved(image, flip=1, angle=angle, down=shift[0], right=shift[1])
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-12)


def test_each_image_has_its_own_move():
    moves = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0], [0, 0.1, 0.1, 0]], dtype=F64)
    alone = [move(IMAGES[i : i + 1], moves[i : i + 1]) for i in range(3)]
    assert torch.equal(move(IMAGES, moves), torch.cat(alone))


def test_the_draws_fill_their_ranges_and_no_more():
    moves = draw(Augmentation(rotation=10, shift=0.2), 20_000, seed=3, epoch=1)
    flip, rest, most = moves[:, 0], moves[:, 1:], torch.tensor([radians(10), 0.2, 0.2])
    assert set(flip.tolist()) == {0.0, 1.0}
    assert flip.mean().item() == pytest.approx(0.5, abs=0.02)  # 5 standard errors
    assert (rest.abs() <= most).all()
    np.testing.assert_allclose(rest.std(0), most / 3**0.5, rtol=0.02)  # of a uniform distribution
    assert torch.corrcoef(moves.T).fill_diagonal_(0).abs().max() < 0.04


def test_the_draws_are_a_function_of_seed_and_epoch():
    again, other, later = (draw(Augmentation(), 10, seed=s, epoch=e) for s, e in ((3, 1), (4, 1), (3, 2)))
    first = draw(Augmentation(), 10, seed=3, epoch=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, later)


def test_what_is_switched_off_stays():
    moves = draw(Augmentation(flip=False, rotation=0, shift=0.1), 50, seed=0, epoch=1)
    assert not moves[:, :2].any()


@pytest.mark.parametrize("shape", [(360,), (28, 28)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(UsageError, match=r"augmentation moves images \[channels, height, width"):
        check_images(shape)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"rotation": -1}, "from 0 to 180"),
        ({"shift": 1}, "from 0 to below 1"),
        ({"flip": False, "rotation": 0, "shift": 0}, "leave it out"),
    ],
)
def test_numbers_that_are_no_augmentation(bad, says):
    with pytest.raises(UsageError, match=says):
        Augmentation(**bad)
