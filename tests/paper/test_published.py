"""The shipped numbers: complete, on the paper's grid, and in agreement with the paper's own tables."""

import numpy as np
import pytest

from sharpmin.errors import UsageError
from sharpmin.paper.published import figure_3, published


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
