"""Adapters in the PEFT model that they were trained in, as PEFT itself loads them."""

import copy
import json

import pytest
import torch
from torch import nn

from cases import same_bits
from sharpmin.checkpoints import load_into, read_checkpoint
from sharpmin.errors import CheckpointError
from sharpmin.subjects import Evaluation, of_task

pytestmark = pytest.mark.filterwarnings("ignore")  # whatever its libraries say of each other

peft = pytest.importorskip("peft")

CONFIGS = {
    "LoRA": peft.LoraConfig(r=4, target_modules=["0"], modules_to_save=["2"]),
    "DoRA": peft.LoraConfig(r=4, target_modules=["0", "2"], use_dora=True, bias="all"),
    "IA3": peft.IA3Config(target_modules=["0", "2"], feedforward_modules=["2"]),
    "LoHa": peft.LoHaConfig(r=2, target_modules=["0"]),
    "VeRA": peft.VeraConfig(r=2, target_modules=["0"]),
}
LORA = CONFIGS["LoRA"]


def base(*, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def adapted(config=LORA, *, seed=0, adapter="default"):
    """The base with an adapter; with a seed, one that has been trained."""
    model = peft.get_peft_model(base(), copy.deepcopy(config), adapter_name=adapter)
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters() if seed else ():
        if weight.requires_grad:
            weight.data += torch.randn(weight.shape, generator=generator)
    return model.eval()


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def complaint(place, model):
    before = state(model)
    with pytest.raises(CheckpointError) as caught:
        load_into(model, read_checkpoint(place))
    assert same_bits(state(model), before)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", CONFIGS)
def test_folder_file_and_state_dict_as_peft_loads_them(tmp_path, name):
    trained = adapted(CONFIGS[name], seed=1)
    trained.save_pretrained(tmp_path)
    torch.save({"step": 3, "model": peft.get_peft_model_state_dict(trained)}, tmp_path / "last.pt")
    own = peft.PeftModel.from_pretrained(base(), tmp_path)
    for place in (tmp_path, tmp_path / "adapter_model.safetensors", tmp_path / "last.pt"):
        model = adapted(CONFIGS[name])
        found = load_into(model, read_checkpoint(place))
        assert same_bits(state(model), state(own))
        assert same_bits(state(model), state(trained))
        assert (found.adapter, found.by, found.rounded) == ("default", "", ())
        assert list(found.weights) == list(model.state_dict())
        assert "base_model.model.0.base_layer.weight" in found.kept
        assert torch.equal(model(torch.ones(8)), own(torch.ones(8)))


def test_transformers_with_tied_weights(tmp_path):
    transformers = pytest.importorskip("transformers")
    shape = {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 32, "n_positions": 8, "eos_token_id": 1}

    def gpt():
        torch.manual_seed(0)
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape, bos_token_id=1))

    for config in (
        peft.LoraConfig(r=2, target_modules=["c_attn"], trainable_token_indices=[1, 3]),
        peft.LoraConfig(r=2, target_modules=["c_attn", "wte"]),
    ):
        trained, model = (peft.get_peft_model(gpt(), copy.deepcopy(config)) for _ in range(2))
        for weight in trained.parameters():
            weight.data += weight.requires_grad * torch.rand(weight.shape)
        trained.save_pretrained(tmp_path)
        load_into(model, read_checkpoint(tmp_path))
        assert same_bits(state(model), state(trained))


def test_of_several_adapters_the_active_one_is_loaded(tmp_path):
    trained = adapted(seed=1)
    trained.save_pretrained(tmp_path)
    model = adapted(adapter="first")
    model.add_adapter("second", copy.deepcopy(LORA))
    before = state(model)
    model.set_adapter("second")
    assert load_into(model, read_checkpoint(tmp_path)).adapter == "second"
    assert {name for name, tensor in state(model).items() if not torch.equal(tensor, before[name])} == {
        "base_model.model.0.lora_A.second.weight",
        "base_model.model.0.lora_B.second.weight",
        "base_model.model.2.modules_to_save.second.weight",
        "base_model.model.2.modules_to_save.second.bias",
    }


def test_the_whole_state_dict_brings_its_base(tmp_path):
    trained, model = adapted(seed=1), adapted()
    trained.base_model.model[0].base_layer.weight.data.fill_(3.0)
    torch.save(trained.state_dict(), tmp_path / "last.pt")
    assert load_into(model, read_checkpoint(tmp_path / "last.pt")).adapter == ""
    assert same_bits(state(model), state(trained))


def test_another_rank_is_named(tmp_path):
    adapted(peft.LoraConfig(r=2, target_modules=["0"], modules_to_save=["2"]), seed=1).save_pretrained(tmp_path)
    said = complaint(tmp_path, adapted())
    assert "wrong: base_model.model.0.lora_A.default.weight is [2, 8] instead of [4, 8]" in said
    assert "It is an adapter" not in said


def test_what_is_missing_is_named(tmp_path):
    adapted(peft.LoraConfig(r=4, target_modules=["0"]), seed=1).save_pretrained(tmp_path)
    said = complaint(tmp_path, adapted())
    lost = "base_model.model.2.modules_to_save.default"
    assert said == f"{tmp_path} does not fit the model: missing: {lost}.weight, {lost}.bias"


def test_another_scale_is_another_function(tmp_path):
    config = copy.deepcopy(LORA)
    config.lora_alpha = 32
    adapted(config, seed=1).save_pretrained(tmp_path)
    assert complaint(tmp_path, adapted()).endswith("wrong: lora_alpha is 32 instead of 8")
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings | {"lora_alpha": 8, "lora_dropout": 0.5}))
    load_into(adapted(), read_checkpoint(tmp_path))


@pytest.mark.parametrize("unfit", [lambda: base(), lambda: _merged()])
def test_a_model_without_it_is_told_what_to_do(tmp_path, unfit):
    adapted(seed=1).save_pretrained(tmp_path)
    said = complaint(tmp_path, unfit())
    assert "It is an adapter (PEFT) and not the model" in said
    assert "torch.save(peft_model.state_dict(), 'weights.pt')" in said


def _merged():
    model = adapted()
    model.merge_adapter()
    return model


TASK = """
import peft, torch
from torch import nn
from sharpmin.data import Examples


def make():
    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    config = peft.LoraConfig(r=4, target_modules=["0"], modules_to_save=["2"])
    return peft.get_peft_model(base, config), Examples(torch.rand(6, 8), torch.arange(6) % 3)
"""


def test_the_points_of_a_task_are_adapters_or_whole_models(tmp_path):
    (tmp_path / "lora.py").write_text(TASK)
    for name, seed in (("a", 1), ("b", 2)):
        adapted(seed=seed).save_pretrained(tmp_path / name)
    torch.save(adapted(seed=3).state_dict(), tmp_path / "whole.pt")
    task, places = f"{tmp_path}/lora.py:make", [str(tmp_path / name) for name in ("a", "b", "whole.pt")]
    subject = of_task(task, places[:2], Evaluation(), runs=tmp_path / "runs")
    for name, seed in (("a", 1), ("b", 2), ("a", 1)):
        subject.at(name)
        assert same_bits(state(subject.model), state(adapted(seed=seed)))
    assert subject.at("a").theta.numel() == 4 * (8 + 8) + 3 * (8 + 1)
    with pytest.raises(CheckpointError, match="a is an adapter's weights and whole a whole model's, whose base"):
        of_task(task, [places[0], places[2]], Evaluation(), runs=tmp_path / "runs")


def test_of_several_active_adapters_nobody_knows_whose_the_tensors_are(tmp_path):
    config = peft.LoraConfig(r=4, target_modules=["0"])
    adapted(config, seed=1).save_pretrained(tmp_path)
    model = adapted(config)
    model.add_adapter("b", copy.deepcopy(config))
    model.base_model.set_adapter(["default", "b"])
    assert "one adapter active" in complaint(tmp_path, model)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (peft.LoraConfig(r=4, target_modules=["0"], init_lora_weights="pissa"), "init_lora_weights is pissa"),
        (peft.FourierFTConfig(n_frequency=8, target_modules=["0"], scaling=300.0), "scaling is 300.0 instead of 150.0"),
    ],
)
def test_settings_of_another_function(tmp_path, given, says):
    adapted(given, seed=1).save_pretrained(tmp_path)
    own = copy.deepcopy(given)
    own.init_lora_weights, own.scaling = True, 150.0
    if given.peft_type == peft.PeftType.LORA:
        del own.scaling
    assert says in complaint(tmp_path, adapted(own))
