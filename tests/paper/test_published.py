"""The shipped numbers: complete, on the paper's grid, and in agreement with the paper's own tables."""

import numpy as np
import pytest

from sharpmin.errors import UsageError
from sharpmin.paper.published import difference, figure_3, published


@pytest.mark.parametrize("network", ["C1", "C2", "C3", "C4"])
def test_each_curve_has_25_points_on_the_papers_grid(network):
    curve = figure_3(network)
    np.testing.assert_allclose(curve.alphas, np.linspace(-1, 2, 25), atol=1e-3)
    for part in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert len(getattr(curve, part)) == 25


@pytest.mark.parametrize("network", ["C1", "C2", "C3", "C4"])
def test_the_small_batch_end_has_about_the_accuracy_of_table_2(network):
    expected = published()["table_2_accuracy_percent"][network]["test"]["SB"]["mean"]
    assert figure_3(network).test_accuracy[8] == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("network", ["F1", "F2"])
def test_the_others_have_none(network):
    with pytest.raises(UsageError, match="C1, C2, C3, C4"):
        figure_3(network)


def test_the_source_is_named():
    assert "arXiv:1609.04836" in published()["source"]["paper"]


def test_a_curve_as_far_above_as_below_is_as_far_away():
    """Two points above and two below on [0, 1], wrong by any amount outside."""
    curve = figure_3("C1")
    signs = [50 if not 0 <= alpha <= 1 else 2 * (-1) ** i for i, alpha in enumerate(curve.alphas)]
    ours = [(percent + sign) / 100 for percent, sign in zip(curve.train_accuracy, signs, strict=True)]
    assert difference(curve, curve.alphas, ours) == pytest.approx(2.0)


def test_between_the_authors_points_theirs_is_straight():
    curve = figure_3("C1")
    middle = (curve.alphas[10] + curve.alphas[11]) / 2
    percent = (curve.train_accuracy[10] + curve.train_accuracy[11]) / 2
    assert difference(curve, [middle], [percent / 100]) == pytest.approx(0.0, abs=1e-9)


def test_nothing_between_the_minimizers_is_no_number():
    curve = figure_3("C1")
    assert np.isnan(difference(curve, [-1.0, 2.0], [0.5, 0.5]))
    assert np.isnan(difference(curve, [0.5], [None]))
