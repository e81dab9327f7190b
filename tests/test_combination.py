"""A first layer computed at a few vectors gives the losses of the points made of them."""

import weakref

import pytest
import torch
from torch import nn

from sharpmin import Objective, data, network, zoo
from sharpmin.combination import Combination, FirstLayer, FirstLayers, dense_first
from sharpmin.landscape import Grid, lines, path, plane
from sharpmin.landscape.paths import interpolate

SHARES = [(1.0, 0.0), (0.0, 1.0), (0.3, 0.7), (2.0, -1.0), (0.0, 0.0)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(*, norm: bool = False, running: bool = False, bias: bool = True) -> nn.Sequential:
    """A small network in float64 that begins with a dense layer."""
    between = [nn.BatchNorm1d(7, track_running_stats=running)] if norm else []
    return nn.Sequential(
        nn.Flatten(), nn.Linear(6, 7, bias=bias), *between, nn.ReLU(inplace=not norm), nn.Linear(7, 3)
    ).double()


def examples(count: int = 50) -> data.Examples:
    return data.Examples(normal(count, 2, 3), torch.arange(count) % 3)


def points(f: Objective) -> list[Combination]:
    a, b = normal(f.layout.size, seed=1), normal(f.layout.size, seed=2)
    return [Combination(s * a + t * b, (a, b), (s, t)) for s, t in SHARES]


class Multiplications:
    """Counts how often a dense layer of a given width is computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, inputs: int) -> None:
        self.count, own = 0, nn.functional.linear

        def counted(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
            self.count += x.shape[1] == inputs
            return own(x, *weights)

        monkeypatch.setattr(nn.functional, "linear", counted)


@pytest.mark.parametrize("kind", ["plain", "no bias", "batch", "running", "recalibrate"])
def test_losses_are_those_of_the_points_in_float64(kind):
    running = kind in ("running", "recalibrate")
    model = dense(norm=running or kind == "batch", running=running, bias=kind != "no bias")
    policy = kind if running or kind == "batch" else None
    f = Objective(model, examples(), batch_norm=policy, batch_size=20)  # a ragged last batch
    made = points(f)
    expected = [f.measure(point.theta) for point in made]
    for found, one in zip(f.measure_many(made), expected, strict=True):
        assert found.loss == pytest.approx(one.loss, rel=1e-12)
        assert found.accuracy == one.accuracy


def test_the_vectors_themselves_bit_for_bit_in_float32_on_f1():
    model, images = zoo.build("F1", seed=0), data.synthetic(train=300, test=1, shape=(784,), classes=10).train
    f = Objective(model, images, batch_norm="batch")
    a, b = f.theta, Objective(zoo.build("F1", seed=1), images, batch_norm="batch").theta
    found = path(f, a, b, alphas=[-1, 0, 0.5, 1, 2])
    assert (found.losses[1], found.losses[3]) == (f.value(a), f.value(b))
    for alpha, loss in zip(found.alphas, found.losses, strict=True):
        assert loss == pytest.approx(f.value(interpolate(a, b, alpha)), rel=1e-5)


@pytest.mark.parametrize("kind", ["line", "arc"])
def test_a_path_computes_the_first_layer_at_its_ends_only(kind, monkeypatch):
    f = Objective(dense(norm=True), examples(), batch_norm="batch", batch_size=25)
    a, b = normal(f.layout.size, seed=1), normal(f.layout.size, seed=2)
    expected = [f.value(interpolate(a, b, alpha / 4, kind=kind)) for alpha in range(8)]
    calls = Multiplications(monkeypatch, inputs=6)
    found = path(f, a, b, kind=kind, alphas=[alpha / 4 for alpha in range(8)])
    assert calls.count == 2 * 2  # two ends, two batches
    assert found.losses == pytest.approx(expected, rel=1e-12)


def test_planes_and_random_lines_are_the_points_they_name():
    f = Objective(dense(norm=True), examples(), batch_norm="batch")
    theta, u, v = f.theta, normal(f.layout.size, seed=1), normal(f.layout.size, seed=2)
    found = plane(f, theta, u, v, grid=Grid((-1.0, 0.0, 0.5), (0.0, 2.0)))
    for row, beta in zip(found.losses, found.betas, strict=True):
        assert row == pytest.approx([f.value(theta + alpha * u + beta * v) for alpha in found.alphas], rel=1e-12)
    assert found.losses[0][1] == f.value(theta)
    assert [line[1] for line in lines(f, draws=2, alphas=[-1, 0, 1]).losses] == [f.value(theta)] * 2


def test_the_bits_do_not_depend_on_which_points_are_measured_together():
    f = Objective(dense(norm=True), examples(), batch_norm="batch")
    made = points(f)
    assert f.measure_many(made) == tuple(f.measure_many([one])[0] for one in made)


def test_where_the_network_may_see_another_input_every_point_is_computed_as_it_is():
    def halved(model, batch):
        return nn.functional.cross_entropy(model(batch[0] / 2), batch[1], reduction="none")

    f = Objective(dense(), examples(), loss=halved)
    made = points(f)
    assert f.measure_many(made) == tuple(f.measure(point.theta) for point in made)


def test_a_frozen_first_layer_is_not_part_of_the_sum():
    model = dense()
    f = Objective(model, examples(), parameters=[name for name, _ in model.named_parameters() if name[0] != "1"])
    made = points(f)
    assert f.measure_many(made) == tuple(f.measure(point.theta) for point in made)


def test_outputs_too_large_to_keep_are_not_kept(monkeypatch):
    f = Objective(dense(), examples(), batch_size=20)
    made = points(f)
    for bytes_kept, shared in ((8 * 2 * 20 * 7, True), (8 * 2 * 20 * 7 - 1, False)):
        monkeypatch.setattr(network, "KEPT", bytes_kept)
        calls = Multiplications(monkeypatch, inputs=6)
        found = f.measure_many(made)
        assert calls.count == 3 * (2 if shared else len(made))  # three batches
        if not shared:
            assert found == tuple(f.measure(point.theta) for point in made)


def test_a_vector_with_infinite_weights_counts_only_where_it_has_a_share():
    layer = FirstLayer(nn.Flatten(), [{"weight": torch.ones(2, 3)}, {"weight": torch.full((2, 3), torch.inf)}])
    x = torch.ones(4, 3)
    assert torch.equal(layer.at(x, (0.5, 0.0)), torch.full((4, 2), 1.5))
    assert layer.at(x, (0.5, 0.5)).isinf().all()


def test_networks_that_do_not_begin_so_or_that_somebody_watches_are_left_alone():
    assert dense_first(zoo.build("C1", seed=0)) is None
    assert dense_first(nn.Linear(3, 2)) is None
    assert dense_first(nn.Sequential(nn.Flatten())) is None
    assert dense_first(nn.Sequential(nn.Dropout(), nn.Linear(3, 2))) is None
    model = dense()
    assert dense_first(model) == 1
    handle = model[1].register_forward_hook(lambda *_: None)
    assert dense_first(model) is None
    handle.remove()
    assert dense_first(model) == 1


@pytest.mark.parametrize("again", ["tied", "the same layer"])
def test_a_first_layer_whose_weights_are_used_again_is_left_where_it_is(again):
    layers = [nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)]
    if again == "tied":
        layers[2].weight = layers[0].weight
    else:
        layers[2] = layers[0]
    f = Objective(nn.Sequential(*layers).double(), data.Examples(normal(50, 6), torch.arange(50) % 3))
    made = points(f)
    assert f.measure_many(made) == tuple(f.measure(point.theta) for point in made)


def test_groups_of_points_share_the_first_layer_and_each_comes_when_it_is_finished(monkeypatch):
    f = Objective(dense(norm=True), examples(), batch_norm="batch", batch_size=20)
    made = points(f)
    expected = f.measure_many(made)
    calls = Multiplications(monkeypatch, inputs=6)
    groups = f.measure_groups(iter(made), together=2)
    assert next(groups) == list(expected[:2])
    assert calls.count == 2 * 3  # two vectors, three batches
    assert [one for group in groups for one in group] == list(expected[2:])
    assert calls.count == 2 * 3


@pytest.mark.parametrize(("most", "computed"), [(1, 6), (2, 5), (3, 3)])
def test_a_first_layer_keeps_so_many_batches(most, computed, monkeypatch):
    layer = FirstLayer(nn.Flatten(), [{"weight": normal(2, 6)}], most=most)
    batches = [normal(4, 6, seed=seed) for seed in range(3)]
    calls = Multiplications(monkeypatch, inputs=6)
    once, again = ([layer.at(x, (1.0,)) for x in batches] for _ in range(2))
    assert all(map(torch.equal, once, again))
    assert calls.count == computed


def test_vectors_that_no_group_needs_any_more_are_let_go():
    made, layers = [], FirstLayers(lambda vectors: made.append(len(vectors)))
    kept, passing = normal(3), normal(3)
    gone = weakref.ref(passing)
    layers.of([Combination(kept, (kept, passing), (1.0, 0.0)), Combination(kept, (kept,), (1.0,)), kept])
    assert layers.of([Combination(kept, (kept,), (2.0,))]) == [None]
    assert made == [2, 1]
    del passing
    assert gone() is None
