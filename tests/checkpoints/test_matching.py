"""Anybody's state dict under a model's names: the model then computes what the one that was saved computed."""

import copy
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel

from cases import random, same_bits, scrambled
from sharpmin.checkpoints import Checkpoint, fit, load_into, read_checkpoint
from sharpmin.errors import CheckpointError, UsageError

INPUTS = random(5, 3, dtype=torch.float32)


def network(*, seed=0):
    """Linear, BatchNorm with statistics of its own, Linear; the weights depend on the seed."""
    model = scrambled(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), torch.float32)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(seed).abs_() if tensor.is_floating_point() else tensor.fill_(seed)
    return model.eval()


def read(tmp_path, content, *, save=torch.save):
    save(content, tmp_path / "last.pt")
    return read_checkpoint(tmp_path / "last.pt")


def in_memory(**state_dicts):
    return Checkpoint(Path("last.pt"), "torch", state_dicts)


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def complaint(checkpoint, model, **options):
    """The one line that a checkpoint which does not fit gives; the model is as it was."""
    before = state(model)
    for function in (fit, lambda checkpoint, model, **options: load_into(model, checkpoint, **options)):
        with pytest.raises(CheckpointError) as caught:
            function(checkpoint, model, **options)
    assert same_bits(state(model), before)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Prefixes


@pytest.mark.parametrize("save", [torch.save, save_file])
@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "model._orig_mod.", "net.body."],
)
def test_prefixes_are_dropped(tmp_path, save, prefix):
    trained, model = network(seed=1), network()
    found = load_into(model, read(tmp_path, prefixed(prefix, trained.state_dict()), save=save))
    assert torch.equal(model(INPUTS), trained(INPUTS))
    assert same_bits(state(model), state(trained))
    assert same_bits(found.weights, state(trained))
    assert list(found.weights) == list(model.state_dict())
    left = prefix.replace("module.", "").replace("_orig_mod.", "").rstrip(".")
    assert (found.key, found.prefix, found.tied, found.kept, found.ignored) == ("", left, (), (), ())


def test_wrappers_within_the_model(tmp_path):
    trained = network(seed=1).state_dict()
    names = {"0.": "0._orig_mod.", "1.": "1._checkpoint_wrapped_module.", "3.": "_fsdp_wrapped_module.3.module."}
    content = {names[name[:2]] + name[2:]: tensor for name, tensor in trained.items()}
    assert same_bits(fit(read(tmp_path, content), network()).weights, trained)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: nn.ModuleDict({"_orig_mod": model})])
def test_a_wrapped_model_and_a_plain_one_read_each_others_checkpoints(tmp_path, wrap):
    trained, model = network(seed=1), wrap(network())
    found = load_into(model, read(tmp_path, trained.state_dict()))
    assert list(found.weights) == list(model.state_dict())
    assert same_bits(state(trained), state(next(iter(model.children()))))
    plain = network()
    load_into(plain, read(tmp_path, wrap(trained).state_dict()))
    assert same_bits(state(plain), state(trained))


def test_a_model_that_has_a_submodule_called_module():
    model = nn.ModuleDict({"module": nn.Linear(3, 2)})
    model.register_parameter("weight", nn.Parameter(torch.ones(1)))
    trained = scrambled(copy.deepcopy(model), torch.float32)
    found = fit(in_memory(**{"": state(trained)}), model)
    assert same_bits(found.weights, state(trained))


def test_the_average_of_swa_utils(tmp_path):
    trained = network(seed=1)
    found = fit(read(tmp_path, AveragedModel(trained).state_dict()), network())
    assert found.ignored == ("n_averaged",)
    assert same_bits(found.weights, state(trained))


def test_an_average_takes_a_plain_checkpoint(tmp_path):
    trained, model = network(seed=1), AveragedModel(network())
    found = load_into(model, read(tmp_path, trained.state_dict()))
    assert found.kept == ("n_averaged",)
    assert torch.equal(model.eval()(INPUTS), trained(INPUTS))
    averaged = AveragedModel(trained)
    averaged.n_averaged.fill_(7)
    assert fit(read(tmp_path, averaged.state_dict()), model).kept == ()


def test_an_average_without_names_says_what_to_do(tmp_path):
    model = network()
    average = {"decay": 0.9, "num_updates": 3, "shadow_params": list(model.parameters()), "collected_params": None}
    cure = "ema.copy_to(model.parameters()) there, then torch.save(model.state_dict(), 'weights.pt')"
    checkpoint = read(tmp_path, {"model": model.state_dict(), "ema": average, "optimizer": {"state": [torch.ones(1)]}})
    assert checkpoint.nameless[0] == "ema.shadow_params"
    assert fit(checkpoint, model).key == "model"
    for key in ("ema", "ema.shadow_params"):
        said = complaint(checkpoint, model, key=key)
        assert f"last.pt:{key} holds tensors in a list, without names" in said
        assert said.endswith(cure)
    assert "has nothing under 'shadow'" in complaint(checkpoint, model, key="shadow")
    with pytest.raises(CheckpointError, match=r"last.pt:shadow_params holds tensors in a list, without names"):
        read(tmp_path, average)


# Nested


def lightning(model, **more):
    weights = {**prefixed("model.", model.state_dict()), **more}
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return {
        "epoch": 3,
        "global_step": 12,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": weights,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    }


def test_a_lightning_checkpoint(tmp_path):
    trained = network(seed=1)
    found = fit(read(tmp_path, lightning(trained)), network())
    assert (found.key, found.prefix, found.others) == ("state_dict", "model", ())
    assert same_bits(found.weights, state(trained))


def test_a_lightning_module_with_more_in_it_names_the_way_out(tmp_path):
    trained, weight = network(seed=1), torch.ones(2)
    checkpoint = read(tmp_path, lightning(trained, **{"criterion.weight": weight}))
    said = complaint(checkpoint, network())
    lost = [name for name in trained.state_dict() if "batches" not in name]
    assert f"last.pt:state_dict does not fit the model: missing: {', '.join(lost)}; unexpected: " in said
    assert said.endswith(f"A part of it does: {checkpoint.path}:state_dict.model")
    for key in ("model", "state_dict.model"):
        found = fit(checkpoint, network(), key=key)
        assert found.key == key
        assert same_bits(found.weights, state(trained))


def test_of_several_the_usual_is_taken_and_another_on_request(tmp_path):
    trained, average = network(seed=1), network(seed=2)
    checkpoint = read(tmp_path, {"ema": average.state_dict(), "model": trained.state_dict(), "loss": torch.tensor(1.0)})
    found = fit(checkpoint, network())
    assert (found.key, found.others) == ("model", ("ema",))
    assert same_bits(found.weights, state(trained))
    chosen = fit(checkpoint, network(), key="ema")
    assert (chosen.key, chosen.others) == ("ema", ())
    assert same_bits(chosen.weights, state(average))


def test_the_one_that_fits_is_taken_before_the_usual(tmp_path):
    generator, other = network(seed=1), nn.Linear(7, 7)
    checkpoint = read(tmp_path, {"model": other.state_dict(), "generator": generator.state_dict()})
    assert fit(checkpoint, network()).key == "generator"
    assert "last.pt:model is of another network" in complaint(checkpoint, network(), key="model")


@pytest.mark.parametrize("keys", [("student", "teacher"), ("ema", "swa"), ("a.model", "b.model")])
def test_where_none_of_several_is_usual_the_user_chooses(keys):
    checkpoint = in_memory(**{key: state(network(seed=seed)) for seed, key in enumerate(keys)})
    said = complaint(checkpoint, network())
    assert f"several state dicts that fit the model: choose one of last.pt:{keys[0]}, last.pt:{keys[1]}" in said
    assert same_bits(fit(checkpoint, network(), key=keys[1]).weights, state(network(seed=1)))


def test_the_top_is_a_key_too():
    checkpoint = in_memory(**{"": state(network(seed=1)), "model": state(network(seed=2))})
    assert fit(checkpoint, network()).key == ""
    assert same_bits(fit(checkpoint, network(), key="").weights, state(network(seed=1)))


def test_an_unknown_key_lists_those_there_are():
    checkpoint = in_memory(**{"": {"loss": torch.ones(())}, "model": state(network())})
    said = complaint(checkpoint, network(), key="emma")
    assert said == "last.pt has nothing under 'emma': choose among '' (1 tensors), 'model' (9 tensors)"


# What does not fit


def test_everything_that_does_not_fit_is_named():
    weights = state(network())
    del weights["0.bias"], weights["1.running_mean"]
    weights |= {"3.weight": torch.ones(4, 2), "4.weight": torch.ones(1)}
    assert complaint(in_memory(model=weights), network()) == (
        "last.pt:model does not fit the model: wrong: 3.weight is [4, 2] instead of [2, 4]; "
        "missing: 0.bias, 1.running_mean; unexpected: 4.weight"
    )


def test_the_names_are_the_checkpoints_own_and_the_models_own():
    weights = prefixed("module.", state(network()))
    weights["module.4.weight"] = weights.pop("module.3.weight")
    said = complaint(in_memory(**{"": weights}), nn.DataParallel(network()))
    assert "missing: module.3.weight; unexpected: module.4.weight" in said
    assert "missing: 3.weight; unexpected: module.4.weight" in complaint(in_memory(**{"": weights}), network())


def test_below_a_lightning_prefix_only_what_differs_is_named():
    weights = prefixed("model.", {**state(network()), "0.weight": torch.ones(9, 3)})
    said = complaint(in_memory(state_dict=weights), network())
    assert said == "last.pt:state_dict does not fit the model: wrong: 0.weight is [9, 3] instead of [4, 3]"


def test_long_lists_are_abbreviated():
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)])
    weights = {f"layer{i:02}.w": torch.ones(1) for i in range(30)}
    said = complaint(in_memory(**{"": weights}), model)
    assert said == (
        "last.pt is of another network, no name agrees: missing: 0.weight, 0.bias, 1.weight, 1.bias, 2.weight, 2.bias, "
        "3.weight, 3.bias, 4.weight, 4.bias and 30 more; unexpected: layer00.w, layer01.w, layer02.w, layer03.w, "
        "layer04.w, layer05.w, layer06.w, layer07.w, layer08.w, layer09.w and 20 more"
    )


def test_the_state_dict_that_comes_closest_is_complained_about():
    almost = state(network())
    del almost["3.bias"]
    checkpoint = in_memory(**{"": {"loss": torch.ones(())}, "state_dict": {"x": torch.ones(1)}, "best": almost})
    assert complaint(checkpoint, network()) == "last.pt:best does not fit the model: missing: 3.bias"


class Sharded(torch.Tensor):
    """Stands for DTensor, which needs a process group: a tensor that is more than its values."""


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.eye(2).to_sparse(), "weight is quantized, sparse, sharded or without values"),
        (torch.empty(2, 2, device="meta"), "weight is quantized, sparse, sharded or without values"),
        (
            torch.ones(2, 2).as_subclass(Sharded),
            "weight is quantized, sparse, sharded or without values",
        ),
        (torch.ones(2, 2, dtype=torch.complex64), "weight is torch.complex64 instead of torch.float32"),
        (torch.ones(2, 2, dtype=torch.int8), "weight is torch.int8 instead of torch.float32"),
        (torch.ones(2, 2, dtype=torch.bool), "weight is torch.bool instead of torch.float32"),
    ],
)
def test_tensors_of_another_kind_do_not_fit(tensor, said):
    model = nn.Linear(2, 2, bias=False)
    assert complaint(in_memory(**{"": {"weight": tensor}}), model) == f"last.pt does not fit the model: wrong: {said}"


def test_a_model_without_weights_yet_is_the_callers_mistake():
    with torch.device("meta"):
        meta = nn.Linear(3, 2)
    for model in (nn.LazyLinear(2), meta):
        with pytest.raises(UsageError, match=r"without values yet \(weight, bias\): call it once"):
            fit(in_memory(**{"": state(nn.Linear(3, 2))}), model)


# Buffers


def test_running_statistics_are_loaded(tmp_path):
    trained, model = network(seed=1), network()
    assert not torch.equal(trained[1].running_var, model[1].running_var)
    load_into(model, read(tmp_path, trained.state_dict()))
    z = INPUTS.double().numpy() @ trained[0].weight.detach().double().numpy().T + trained[0].bias.detach().numpy()
    bn = {name: tensor.detach().double().numpy() for name, tensor in trained[1].state_dict().items()}
    z = (z - bn["running_mean"]) / np.sqrt(bn["running_var"] + 1e-5) * bn["weight"] + bn["bias"]
    expected = np.maximum(z, 0) @ trained[3].weight.detach().double().numpy().T + trained[3].bias.detach().numpy()
    np.testing.assert_allclose(model(INPUTS).detach().numpy(), expected, rtol=1e-5)


def test_a_missing_count_of_batches_is_harmless(tmp_path):
    trained, model = network(seed=1), network(seed=2)
    weights = trained.state_dict()
    del weights["1.num_batches_tracked"]
    found = load_into(model, read(tmp_path, weights))
    assert found.kept == ("1.num_batches_tracked",)
    assert model[1].num_batches_tracked == 2
    assert torch.equal(model(INPUTS), trained(INPUTS))


class Positions(nn.Module):
    """An embedding with a buffer that is not saved, as newer Hugging Face models have it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("position_ids", torch.arange(3), persistent=False)


def test_a_buffer_that_is_no_longer_saved_may_be_there_if_it_is_the_same():
    weights = {"weight": torch.ones(3), "position_ids": torch.arange(3)}
    found = fit(in_memory(**{"": weights}), Positions())
    assert found.ignored == ("position_ids",)
    assert list(found.weights) == ["weight"]
    weights["position_ids"] = torch.tensor([0, 2, 1])
    assert "unexpected: position_ids" in complaint(in_memory(**{"": weights}), Positions())


class Counts(nn.Linear):
    """A module with state that is no tensor."""

    calls = 5

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


def test_state_that_is_no_tensor_stays_the_models(tmp_path):
    trained, model = Counts(3, 2), Counts(3, 2)
    trained.calls = 7
    load_into(model, read(tmp_path, trained.state_dict()))
    assert torch.equal(model.weight, trained.weight)
    assert model.calls == 5


# Tied, frozen, unused


class Tied(nn.Module):
    """A language model in small: the output layer is the embedding."""

    def __init__(self, *, tied=True):
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens))


@pytest.mark.parametrize("dropped", ["embed.weight", "head.weight"])
def test_a_tied_weight_that_safetensors_drops_is_found(tmp_path, dropped):
    trained, model = Tied(), Tied()
    weights = {name: tensor for name, tensor in trained.state_dict().items() if name != dropped}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text('{"tie_word_embeddings": true}')
    found = load_into(model, read_checkpoint(tmp_path))
    assert found.tied == (dropped,)
    tokens = torch.arange(5)
    assert torch.equal(model(tokens), trained(tokens))
    assert model.head.weight is model.embed.weight


def test_the_library_that_drops_it_is_read_too(tmp_path):
    trained = Tied()
    save_model(trained, str(tmp_path / "model.safetensors"))
    found = fit(read_checkpoint(tmp_path), nn.DataParallel(Tied()))
    assert len(found.tied) == 1
    assert torch.equal(found.weights["module.embed.weight"], trained.embed.weight)
    assert torch.equal(found.weights["module.head.weight"], trained.embed.weight)


def test_what_is_not_tied_in_the_model_is_missing():
    weights = {"embed.weight": torch.ones(5, 3)}
    assert complaint(in_memory(**{"": weights}), Tied(tied=False)).endswith("missing: head.weight")


def test_tied_weights_that_differ_in_the_checkpoint_do_not_fit():
    weights = {"embed.weight": torch.ones(5, 3), "head.weight": torch.ones(5, 3)}
    assert not fit(in_memory(**{"": weights}), Tied()).tied
    weights["head.weight"] = torch.zeros(5, 3)
    said = complaint(in_memory(**{"": weights}), Tied())
    assert said.endswith("wrong: embed.weight and head.weight are tied in the model and differ here")
    assert same_bits(fit(in_memory(**{"": weights}), Tied(tied=False)).weights, weights)


def test_equal_not_a_numbers_are_no_difference():
    weights = dict.fromkeys(("embed.weight", "head.weight"), torch.full((5, 3), torch.nan))
    assert (
        fit(in_memory(**{"": {n: t.clone() for n, t in weights.items()}}), Tied()).weights["head.weight"].isnan().all()
    )


def test_frozen_and_unused_weights_are_loaded_and_stay_so(tmp_path):
    trained, model = network(seed=1), network()
    for one in (trained, model):
        one.register_parameter("unused", nn.Parameter(torch.full((2,), 3.0)))
        one[0].weight.requires_grad_(False)
    with torch.no_grad():
        model.unused.zero_()
    load_into(model.train(), read(tmp_path, trained.state_dict()))
    assert same_bits(state(model), state(trained))
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert model.training
    weights = trained.state_dict()
    del weights["unused"]
    assert complaint(read(tmp_path, weights), model).endswith("missing: unused")


# Dtypes


EXACT = [
    (torch.bfloat16, torch.float32),
    (torch.float16, torch.float64),
    (torch.float32, torch.float64),
    (torch.bfloat16, torch.bfloat16),
    (torch.float64, torch.float64),
    (torch.float8_e4m3fn, torch.float32),
]


@pytest.mark.parametrize(("saved", "own"), EXACT)
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_model_at_least_as_wide_takes_every_value_exactly(tmp_path, saved, own, save):
    weights = {"weight": random(2, 3).to(saved), "bias": random(2, seed=1).to(saved)}
    model = nn.Linear(3, 2, dtype=own)
    found = load_into(model, read(tmp_path, weights, save=save))
    assert found.rounded == ()
    assert {t.dtype for t in found.weights.values()} == {saved}
    assert {p.dtype for p in model.parameters()} == {own}
    assert torch.equal(model.weight, weights["weight"].to(own))


@pytest.mark.parametrize(
    ("saved", "own"),
    [
        (torch.float64, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float32, torch.float16),
        (torch.float16, torch.bfloat16),
        (torch.bfloat16, torch.float16),
    ],
)
def test_rounding_is_never_silent(tmp_path, saved, own):
    values = random(2, 3) * (1e-6 if own == torch.float16 else 1)  # beyond float16's normal numbers
    weights = {"weight": values.to(saved), "bias": torch.zeros(2, dtype=saved)}
    checkpoint, model = read(tmp_path, weights), nn.Linear(3, 2, dtype=own)
    assert fit(checkpoint, model).rounded == ("weight",)
    said = f"{saved} values are rounded to the model's {own} (weight); to keep every bit, convert the model first: "
    with pytest.warns(UserWarning, match=re.escape(said + f"model.to({saved})")):
        load_into(model, checkpoint)
    assert torch.equal(model.weight, weights["weight"].to(own))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_into(model.to(saved), checkpoint)
    assert torch.equal(model.weight, weights["weight"])


def test_values_that_happen_to_survive_are_not_called_rounded():
    weights = {"weight": torch.tensor([[0.5, torch.nan], [-torch.inf, 2.0**100]], dtype=torch.float64)}
    assert fit(in_memory(**{"": weights}), nn.Linear(2, 2, bias=False)).rounded == ()
    weights["weight"][1, 1] = 1e300
    assert fit(in_memory(**{"": weights}), nn.Linear(2, 2, bias=False)).rounded == ("weight",)


# Anything at all


SEGMENT = st.sampled_from(["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
WRAPPING = st.lists(SEGMENT, max_size=2)
NOISE = {
    "epoch": 3,
    "args": {"lr": 0.1, "name": "x"},
    "optimizer": {"state": {0: {"exp_avg": torch.ones(4, 3)}}, "param_groups": [{"params": [0]}]},
    "scheduler": {"last_lr": [0.1]},
    "loss": torch.tensor(1.0),
}


def wrapped(tensors, wrappings, front):
    """Put wrappers in front of the first and of the last module of each name, the same for the same module."""
    renamed = {}
    for name, tensor in tensors.items():
        module, leaf = name.split(".")
        renamed[".".join([*front, *wrappings[""], module, *wrappings[module], leaf])] = tensor
    return renamed


@settings(max_examples=30, deadline=None)
@given(
    wrappings=st.fixed_dictionaries({"": WRAPPING, "0": WRAPPING, "1": WRAPPING, "3": WRAPPING}),
    front=st.lists(st.sampled_from(["model", "net", "student", "module"]), max_size=2),
    path=st.lists(st.sampled_from(["state_dict", "model", "run", "ema", "module"]), max_size=3),
    noise=st.sets(st.sampled_from(sorted(NOISE))),
    legacy=st.booleans(),
)
def test_the_same_bits_come_out_of_any_nesting_and_wrapping(tmp_path_factory, wrappings, front, path, noise, legacy):
    trained = state(network(seed=1))
    content = wrapped(trained, wrappings, front)
    for key in reversed(path):
        content = {key: content}
    if path:
        content |= {key: NOISE[key] for key in noise}
    file = tmp_path_factory.mktemp("x") / "last.pt"
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    found = fit(read_checkpoint(file), network())
    assert same_bits(found.weights, trained)
    assert found.key == ".".join(path)
    assert found.prefix == ".".join(segment for segment in front if segment != "module")


@settings(max_examples=30, deadline=None)
@given(
    lost=st.sets(st.sampled_from([name for name in network().state_dict() if "batches" not in name]), max_size=5),
    added=st.sets(st.sampled_from(["4.weight", "extra", "1.scale"])),
    bent=st.sets(st.sampled_from(list(network().state_dict()))),
    prefix=st.sampled_from(["", "module.", "model."]),
)
def test_exactly_what_was_changed_is_listed(lost, added, bent, prefix):
    weights = {name: tensor for name, tensor in state(network()).items() if name not in lost}
    weights |= {name: weights[name][None] for name in bent - lost}
    weights |= dict.fromkeys(added, torch.ones(1))
    checkpoint = in_memory(model=prefixed(prefix, weights))
    if not lost | added | bent - lost:
        assert same_bits(fit(checkpoint, network()).weights, state(network()))
        return
    said = complaint(checkpoint, network())
    lists = dict(part.split(": ") for part in said.removeprefix("last.pt:model does not fit the model: ").split("; "))
    assert set(lists.get("missing", "").split(", ")) - {""} == lost
    unexpected = {name.removeprefix(prefix) for name in lists.get("unexpected", "").split(", ")} - {""}
    assert unexpected == added
    assert {part.split(" ")[0] for part in re.split(r"(?<=\]), ", lists.get("wrong", ""))} - {""} == bent - lost


def test_the_callers_random_state_is_not_touched(tmp_path):
    torch.save(state(network()), tmp_path / "last.pt")
    model, before = network(), torch.get_rng_state()
    load_into(model, read_checkpoint(tmp_path / "last.pt"))
    assert torch.equal(torch.get_rng_state(), before)
