"""Files and folders as people have them: written by torch.save, safetensors and by hand, sound and damaged."""

import json
import os
import random as python_random
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cases import random
from sharpmin.checkpoints import fit, read_checkpoint
from sharpmin.checkpoints.names import abbreviated
from sharpmin.errors import CheckpointError

WEIGHTS = {
    "0.weight": random(4, 3, dtype=torch.float32),
    "0.bias": torch.tensor([torch.nan, -0.0, torch.inf], dtype=torch.float64),
    "1.weight": random(2, seed=1, dtype=torch.bfloat16),
    "1.running_mean": random(2, seed=2, dtype=torch.float16),
    "1.num_batches_tracked": torch.tensor(2**53 + 1),
}


def legacy(content, file):
    torch.save(content, file, _use_new_zipfile_serialization=False)


def bits(tensors):
    return {name: (tensor.dtype, tuple(tensor.shape), numbers(tensor)) for name, tensor in tensors.items()}


def numbers(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def refusal(file):
    """The one line that reading this file gives."""
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


SAVES = {"safetensors": save_file, "torch": torch.save, "torch legacy": legacy}


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights.pth.tar", "weights"])
@pytest.mark.parametrize("kind", SAVES)
def test_tensors_come_back_bit_for_bit_whatever_the_file_is_called(tmp_path, kind, name):
    SAVES[kind](WEIGHTS, tmp_path / name)
    found = read_checkpoint(tmp_path / name)
    assert (found.path, found.format, list(found.state_dicts)) == (tmp_path / name, kind, [""])
    assert bits(found.state_dicts[""]) == bits(WEIGHTS)
    assert all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in found.state_dicts[""].values())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_tensors_are_mapped_from_the_file(tmp_path, kind):
    SAVES[kind](WEIGHTS, tmp_path / "mapped.file")
    found = read_checkpoint(tmp_path / "mapped.file")
    assert "mapped.file" in Path("/proc/self/maps").read_text()
    del found


def test_an_open_parameter_and_a_path_as_text_do(tmp_path):
    torch.save({"w": nn.Parameter(torch.ones(2))}, tmp_path / "w.pt")
    assert not read_checkpoint(str(tmp_path / "w.pt")).state_dicts[""]["w"].requires_grad


def training_state():
    model = nn.Linear(3, 2)
    adam = torch.optim.Adam(model.parameters())
    model(torch.ones(3)).sum().backward()
    adam.step()
    return model, adam


@pytest.mark.parametrize("save", [torch.save, legacy])
def test_every_state_dict_is_found_and_the_usual_come_first(tmp_path, save):
    model, adam = training_state()
    weights = dict(model.state_dict())
    content = {
        "epoch": 3,
        "loss": torch.tensor(0.5),
        "ema": {"shadow": weights, "decay": 0.99},
        "optimizer": adam.state_dict(),
        "best": weights,
        "run": {"net": weights, "model": {"module": weights}},
        "state_dict": weights,
        7: weights,
        "names": ["a", "b"],
    }
    save(content, tmp_path / "last.pt")
    found = read_checkpoint(tmp_path / "last.pt").state_dicts
    assert list(found) == ["", "state_dict", "best", "run.model.module", "run.net", "ema.shadow"]
    assert list(found.pop("")) == ["loss"]
    assert all(bits(tensors) == bits(weights) for tensors in found.values())


def test_a_dict_that_holds_itself_is_read(tmp_path):
    content = {"model": WEIGHTS}
    content["again"] = content
    torch.save(content, tmp_path / "self.pt")
    assert next(iter(read_checkpoint(tmp_path / "self.pt").state_dicts)) == "model"


def test_an_optimizers_state_by_parameter_name_is_no_state_dict(tmp_path):
    moments = {"0.weight": {"exp_avg": torch.ones(2)}, "0.bias": {"exp_avg": torch.ones(1)}}  # as FSDP gathers it
    optimizer = {"state": moments, "param_groups": [{"params": ["0.weight", "0.bias"]}]}
    torch.save({"model": {"w": torch.ones(1)}, "optimizer": optimizer}, tmp_path / "last.pt")
    assert list(read_checkpoint(tmp_path / "last.pt").state_dicts) == ["model"]


@pytest.mark.parametrize("inside", [lambda state: state, lambda state: {"opt": state}, lambda state: [state]])
def test_an_optimizer_alone_is_no_checkpoint(tmp_path, inside):
    torch.save(inside(training_state()[1].state_dict()), tmp_path / "optimizer.pt")
    assert "holds the state of an optimizer and no weights: give the file" in refusal(tmp_path / "optimizer.pt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.ones(3), "holds a Tensor and not a dict of named tensors"),
        ([torch.ones(3)], "holds a list and not"),
        ({"epoch": 3, "args": {"lr": 0.1}}, "holds no named tensors (its keys: epoch, args)"),
        ({}, "holds no named tensors (its keys: none)"),
        ({0: torch.ones(3)}, "holds no named tensors (its keys: 0)"),
    ],
)
def test_a_file_without_named_tensors_says_what_it_holds(tmp_path, content, said):
    torch.save(content, tmp_path / "x.pt")
    assert said in refusal(tmp_path / "x.pt")


def test_nothing_there(tmp_path):
    assert "does not exist: give a checkpoint file" in refusal(tmp_path / "nowhere.pt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    torch.save(WEIGHTS, tmp_path / "x.pt")
    (tmp_path / "x.pt").chmod(0)
    assert "cannot be read: Permission denied" in refusal(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer, .* git lfs pull"),
        (b"<!DOCTYPE html><title>404</title>", r"neither a safetensors nor a torch.save file \(it begins with b'<!DOC"),
    ],
)
def test_what_downloads_leave_in_place_of_a_file(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(tmp_path / name)


def test_zip_files_of_others(tmp_path):
    np.savez(tmp_path / "x.npz", w=np.ones(3))
    assert "is a zip file, but not torch.save's" in refusal(tmp_path / "x.npz")


@pytest.mark.parametrize("kind", SAVES)
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_named(tmp_path, kind, share):
    file = tmp_path / "x.file"
    SAVES[kind]({"w": random(500)}, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    refusal(file)


def test_a_zip_file_with_a_flipped_bit_is_refused_or_gives_the_same_bits(tmp_path):
    file = tmp_path / "x.pt"
    torch.save({"w": random(300)}, file)
    whole, chance, refused = file.read_bytes(), python_random.Random(0), 0
    for _ in range(120):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        try:
            found = read_checkpoint(file).state_dicts[""]
            assert bits(found) == bits({"w": random(300)})
        except CheckpointError:
            refused += 1
    assert refused > 50  # the numbers are more than half of the file


@pytest.mark.parametrize("kind", ["safetensors", "torch legacy"])
def test_whatever_is_damaged_the_error_is_a_sentence(tmp_path, kind):
    file = tmp_path / "x.pt"
    SAVES[kind]({"w": random(3), "b": random(2)}, file)
    whole, chance = file.read_bytes(), python_random.Random(1)
    said = []
    for _ in range(120):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        try:
            read_checkpoint(file)
        except CheckpointError as error:
            said.append(str(error))
    assert len(said) > 10
    assert not any("\n" in sentence for sentence in said)


def test_a_zip_file_without_checksums_is_read(tmp_path):
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        torch.save(WEIGHTS, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert archive.testzip()  # zipfile itself would refuse it
    assert bits(read_checkpoint(tmp_path / "x.pt").state_dicts[""]) == bits(WEIGHTS)


# Folders of save_pretrained, made by hand


def in_parts(folder, parts, *, name="model.safetensors", save=save_file):
    """Write tensors as a sharded folder; `parts` are the names in each."""
    weight_map = {}
    for number, names in enumerate(parts, start=1):
        part = f"part-{number:05d}-of-{len(parts):05d}"
        save({key: WEIGHTS[key] for key in names}, folder / part)
        weight_map |= dict.fromkeys(names, part)
    index = folder / f"{name}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    (folder / "config.json").write_text('{"model_type": "toy"}')
    return index


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.safetensors", "safetensors"),
        ("pytorch_model.bin", "torch"),
        ("pytorch_model.bin", "torch legacy"),
        ("diffusion_pytorch_model.safetensors", "safetensors"),
    ],
)
def test_folders_whole_and_in_parts(tmp_path, name, kind):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    SAVES[kind](WEIGHTS, whole / name)
    (whole / "config.json").write_text("{}")
    index = in_parts(parts, [list(WEIGHTS)[:2], list(WEIGHTS)[2:]], name=name, save=SAVES[kind])
    for place in (whole, parts, index):
        found = read_checkpoint(place)
        assert (found.path, found.format) == (place, kind)
        assert bits(found.state_dicts[""]) == bits(WEIGHTS)


def test_safetensors_are_preferred_to_pickles(tmp_path):
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    torch.save({"old": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    assert bits(read_checkpoint(tmp_path).state_dicts[""]) == bits(WEIGHTS)


def test_a_part_that_is_not_there_is_named(tmp_path):
    in_parts(tmp_path, [["0.weight"], ["0.bias"], ["1.weight"]])
    (tmp_path / "part-00002-of-00003").unlink()
    with pytest.raises(CheckpointError, match=r"index.json names part-00002-of-00003, which is not there"):
        read_checkpoint(tmp_path)


def test_a_tensor_that_is_not_in_its_part_is_named(tmp_path):
    index = in_parts(tmp_path, [["0.weight"]])
    content = json.loads(index.read_text())
    content["weight_map"]["lost"] = "part-00001-of-00001"
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"names lost in part-00001-of-00001, which is not there"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("part", ["../secret.safetensors", "/etc/passwd", "sub/part", "model.safetensors.index.json"])
def test_an_index_cannot_point_elsewhere(tmp_path, part):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(WEIGHTS, tmp_path / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": part}}))
    with pytest.raises(CheckpointError, match="the parts must be files beside it"):
        read_checkpoint(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"weight_map": 3}', '{"weights": {}}', "\xff"])
def test_a_broken_index_is_named(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"index.json is no index of weights"):
        read_checkpoint(tmp_path)


def test_an_index_of_nothing(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    assert "holds no named tensors" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "holds no checkpoint: give a checkpoint file or a save_pretrained folder"),
        (["notes.txt"], "holds no checkpoint"),
        (["config.json", "tf_model.h5"], "is a Hugging Face folder without PyTorch weights: one of model.safetensors"),
        (["config.json", "model.fp16.safetensors", "optimizer.pt"], "give the file, {}/model.fp16.safetensors"),
        (["pytorch_model.bin.index.fp16.json", "pytorch_model.fp16-1.bin"], "{}/pytorch_model.bin.index.fp16.json"),
        (["model.safetensors.ema.index.json", "model.ema-1.bin"], "{}/model.safetensors.ema.index.json"),
        ([".metadata", "__0_0.distcp"], "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"),
        (["zero_to_fp32.py", "latest"], "run the zero_to_fp32.py in it"),
        (["b.pt", "a.ckpt", "notes.txt"], "give one of the files in it, a.ckpt, b.pt"),
    ],
)
def test_other_folders_say_what_they_are(tmp_path, files, said):
    for name in files:
        (tmp_path / name).touch()
    assert said.format(tmp_path) in refusal(tmp_path)


@pytest.mark.parametrize("index", ["model.safetensors.index.fp16.json", "model.safetensors.fp16.index.json"])
def test_the_list_of_a_variants_parts_is_read(tmp_path, index):
    save_file(WEIGHTS, tmp_path / "model.fp16-00001-of-00001.safetensors")
    listed = {"weight_map": dict.fromkeys(WEIGHTS, "model.fp16-00001-of-00001.safetensors")}
    (tmp_path / index).write_text(json.dumps(listed))
    assert bits(read_checkpoint(tmp_path / index).state_dicts[""]) == bits(WEIGHTS)


@pytest.mark.parametrize(
    ("name", "save"), [("adapter_model.safetensors", save_file), ("adapter_model.bin", torch.save)]
)
def test_the_folder_of_an_adapter_is_read_and_does_not_fit_a_plain_model(tmp_path, name, save):
    save({"base_model.model.0.lora_A.weight": torch.ones(2, 3)}, tmp_path / name)
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(CheckpointError) as caught:
            fit(read_checkpoint(place), nn.Linear(3, 2))
        assert "It is an adapter (PEFT) and not the model: let make() return the PEFT model" in str(caught.value)
        assert "torch.save(peft_model.state_dict(), 'weights.pt')" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_beside_the_whole_model_an_adapter_is_passed_over(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "adapter_model.safetensors")
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert bits(read_checkpoint(tmp_path).state_dicts[""]) == bits(WEIGHTS)


def test_long_lists_are_abbreviated():
    names = [f"w{i}" for i in range(13)]
    assert abbreviated(names) == "w0, w1, w2, w3, w4, w5, w6, w7, w8, w9 and 3 more"
    assert abbreviated(names[:11]).endswith("w9, w10")  # "and 1 more" would be no shorter
    assert abbreviated([]) == ""
