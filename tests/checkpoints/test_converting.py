"""Folders that transformers wrote under other names than its model has, read as its own classes read them."""

import json
import sys
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cases import same_bits
from sharpmin.checkpoints import fit, load_into, read_checkpoint
from sharpmin.errors import CheckpointError

transformers = pytest.importorskip("transformers", minversion="5")

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
VISION = {**SMALL, "image_size": 32, "patch_size": 8}
TOKENS = {**SMALL, "vocab_size": 32, "max_position_embeddings": 16, "num_key_value_heads": 2}
EXPERTS = {**TOKENS, "num_local_experts": 3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def vit(*, labels=3, seed=0):
    torch.manual_seed(seed)
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VISION, num_labels=labels))


def mixtral(*, seed=0, tied=False):
    torch.manual_seed(seed)
    return transformers.MixtralForCausalLM(transformers.MixtralConfig(**EXPERTS, tie_word_embeddings=tied))


def neox(*, seed=0):
    torch.manual_seed(seed)
    return transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(
            **{key: value for key, value in EXPERTS.items() if "num_" not in key or "heads" in key}
        )
    )


def saved(model, folder):
    """Read what `save_pretrained` writes of the model, which has other names than its own by the time it is there."""
    model.save_pretrained(folder)
    assert load_file(folder / "model.safetensors").keys() != model.state_dict().keys()
    return read_checkpoint(folder)


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def complaint(checkpoint, model):
    before = state(model)
    with pytest.raises(CheckpointError) as caught:
        load_into(model, checkpoint)
    assert same_bits(state(model), before)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("make", [vit, mixtral, neox])
def test_a_folder_is_read_as_its_own_class_reads_it(tmp_path, make):
    trained, model = make(seed=1), make()
    found = load_into(model, saved(trained, tmp_path))
    own = type(model).from_pretrained(tmp_path)
    assert same_bits(state(model), state(trained))
    assert same_bits(state(model), state(own))
    assert (found.by, found.tied, found.kept, found.ignored, found.rounded) == (type(model).__name__, (), (), (), ())
    assert list(found.weights) == list(model.state_dict())


def test_names_that_fit_are_taken_as_they_are(tmp_path):
    trained, model = vit(seed=1), vit()
    torch.save(trained.state_dict(), tmp_path / "last.pt")
    assert load_into(model, read_checkpoint(tmp_path / "last.pt")).by == ""
    assert same_bits(state(model), state(trained))


def test_tied_weights_are_said_to_be(tmp_path):
    trained, model = mixtral(seed=1, tied=True), mixtral(tied=True)
    found = load_into(model, saved(trained, tmp_path))
    assert (found.by, found.tied) == ("MixtralForCausalLM", ("lm_head.weight",))
    assert same_bits(state(model), state(trained))
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_it_is_quiet_and_leaves_the_random_state(tmp_path, capfd):
    checkpoint, model = saved(vit(seed=1), tmp_path), vit()
    capfd.readouterr()
    before = torch.get_rng_state()
    shown = transformers.utils.logging.is_progress_bar_enabled(), transformers.utils.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_into(model, checkpoint)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    assert shown == (transformers.utils.logging.is_progress_bar_enabled(), transformers.utils.logging.get_verbosity())


def test_other_places_than_a_folder_and_wrapped_models(tmp_path):
    trained, model = vit(seed=1), nn.DataParallel(vit())
    saved(trained, tmp_path)
    old = {f"module.{name}": tensor for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    torch.save({"epoch": 3, "model": old}, tmp_path / "last.pt")
    found = load_into(model, read_checkpoint(tmp_path / "last.pt"))
    assert (found.key, found.by) == ("model", "ViTForImageClassification")
    assert list(found.weights) == list(model.state_dict())
    assert same_bits(state(model.module), state(trained))


# Every bit


def test_a_narrower_checkpoint_fits_exactly_and_a_wider_one_warns(tmp_path):
    narrow = vit(seed=1).bfloat16()
    model = vit()
    found = load_into(model, saved(narrow, tmp_path / "narrow"))
    assert found.rounded == ()
    assert same_bits(state(model), {name: tensor.float() for name, tensor in state(narrow).items()})
    wide, model = vit(seed=1), vit().bfloat16()
    with pytest.warns(UserWarning, match=r"torch.float32 values are rounded to the model's torch.bfloat16"):
        found = load_into(model, saved(wide, tmp_path / "wide"))
    assert "vit.layers.0.attention.q_proj.weight" in found.rounded
    assert same_bits(state(model), {name: tensor.bfloat16() for name, tensor in state(wide).items()})
    assert found.weights["classifier.weight"].dtype == torch.float32


@pytest.mark.filterwarnings("ignore:.*are rounded")
def test_what_the_config_says_of_dtypes_is_not_heard(tmp_path):
    double, model = vit(seed=1).double(), vit()
    model.config.dtype = torch.float16
    found = fit(saved(double, tmp_path), model)
    assert same_bits(found.weights, state(double))


# What does not fit


def test_what_is_missing_is_not_made_up(tmp_path):
    saved(vit(seed=1), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    lost = "vit.encoder.layer.1.attention.attention.query.bias"
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, tmp_path / "model.safetensors")
    said = complaint(read_checkpoint(tmp_path), vit())
    assert said == f"{tmp_path} does not fit the model: missing: vit.layers.1.attention.q_proj.bias"


def test_not_even_where_the_class_puts_up_with_it(tmp_path):
    class Lenient(transformers.ViTForImageClassification):
        _keys_to_ignore_on_load_missing = ("q_proj",)
        _keys_to_ignore_on_load_unexpected = ("spare",)

    saved(vit(seed=1), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors") | {"vit.spare": torch.ones(2)}
    del tensors["vit.encoder.layer.1.attention.attention.query.bias"]
    save_file(tensors, tmp_path / "model.safetensors")
    said = complaint(read_checkpoint(tmp_path), Lenient(vit().config))
    assert "missing: vit.layers.1.attention.q_proj.bias; unexpected: vit.spare" in said


def test_another_number_of_classes(tmp_path):
    said = complaint(saved(vit(labels=5), tmp_path), vit())
    assert said == (
        f"{tmp_path} does not fit the model: "
        "wrong: classifier.weight is [5, 16] instead of [3, 16], classifier.bias is [5] instead of [3]"
    )


def test_the_codes_of_quantized_weights_are_no_weights(tmp_path):
    saved(vit(seed=1), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["vit.encoder.layer.1.output.dense.weight"] = torch.ones(16, 24, dtype=torch.int8)
    save_file(tensors, tmp_path / "model.safetensors")
    assert "does not fit the model" in complaint(read_checkpoint(tmp_path), vit())


def test_a_model_that_only_holds_one_of_transformers_is_told_what_to_do(tmp_path):
    said = complaint(saved(vit(seed=1), tmp_path), nn.ModuleDict({"backbone": vit()}))
    assert "transformers renames weights as it saves" in said
    assert "torch.save(model.state_dict(), 'weights.pt')" in said


@pytest.mark.parametrize("make", [vit, mixtral])
def test_transformers_opens_no_file_and_no_connection(tmp_path, make):
    checkpoint, model, opened = saved(make(seed=1), tmp_path), make(), []
    fit(checkpoint, make())  # what is imported on first use is not meant
    listening = True
    events = {"open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.listdir", "os.scandir"}
    sys.addaudithook(
        lambda event, arguments: opened.append((event, arguments)) if listening and event in events else None
    )
    load_into(model, checkpoint)
    listening = False
    assert opened == []


def test_nothing_in_the_folder_is_run(tmp_path):
    trained, model = vit(seed=1), vit()
    saved(trained, tmp_path)
    trap = tmp_path / "trap"
    (tmp_path / "evil.py").write_text(f"open({str(trap)!r}, 'w').close()\n")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"auto_map": {"AutoModelForImageClassification": "evil.Model", "AutoConfig": "evil.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere/else"}')
    load_into(model, read_checkpoint(tmp_path))
    assert same_bits(state(model), state(trained))
    assert not trap.exists()


def test_a_head_that_was_replaced(tmp_path):
    def headed(seed):
        model = vit(seed=seed)
        model.classifier = nn.Linear(16, 5)
        return model

    trained, model = headed(1), headed(2)
    load_into(model, saved(trained, tmp_path))
    assert same_bits(state(model), state(trained))
