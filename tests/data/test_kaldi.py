"""Speech frames from archives that the real kaldiio wrote."""

import pickle

import numpy as np
import pytest
import torch

from sharpmin import data
from sharpmin.data.kaldi import read_kaldi
from sharpmin.errors import DataError, UsageError

kaldiio = pytest.importorskip("kaldiio")
RNG = np.random.default_rng(4)
LENGTHS = {f"speaker{i // 3}-{i}": 2 + i % 3 for i in range(20)}
FEATS = {name: RNG.standard_normal((length, 360)).astype(np.float32) for name, length in LENGTHS.items()}
ALI = {name: RNG.integers(0, 1973, length).astype(np.int32) for name, length in LENGTHS.items()}
LAST = ("speaker6-18", "speaker6-19")


def save(folder, *, prefix="", feats=FEATS, ali=ALI, lists=True, **how):
    """Archives and, where asked, their lists, as Kaldi leaves them."""
    for name, arrays in ((f"{prefix}feats", feats), (f"{prefix}ali", ali)):
        scp = str(folder / f"{name}.scp") if lists else None
        kaldiio.save_ark(str(folder / f"{name}.ark"), arrays, scp=scp, **how)
    return folder


def stacked(arrays, names):
    return torch.from_numpy(np.concatenate([arrays[name] for name in names]))


@pytest.mark.parametrize("how", [{}, {"lists": False}, {"lists": False, "text": True}], ids=str)
def test_the_last_tenth_of_the_utterances_is_the_test_set(tmp_path, how):
    split = read_kaldi(save(tmp_path, **how))
    first = [name for name in LENGTHS if name not in LAST]
    for part, names in ((split.train, first), (split.test, LAST)):
        torch.testing.assert_close(part.inputs, stacked(FEATS, names), rtol=1e-6, atol=1e-6)  # text has eight digits
        assert torch.equal(part.targets, stacked(ALI, names).long())
    assert split.classes == int(max(map(max, ALI.values()))) + 1
    assert (split.name, split.synthetic) == ("speech", False)
    assert split.source == "Kaldi archives, 18 utterances to train on and 2 to test on"


def test_a_test_set_is_taken_as_it_is(tmp_path):
    save(tmp_path, feats={"a": FEATS["speaker0-0"]}, ali={"a": ALI["speaker0-0"]})
    save(tmp_path, prefix="test_", feats={"b": FEATS["speaker0-1"]}, ali={"b": ALI["speaker0-1"]})
    split = data.load("speech", path=tmp_path)
    assert torch.equal(split.train.inputs, stacked(FEATS, ["speaker0-0"]))
    assert torch.equal(split.test.inputs, stacked(FEATS, ["speaker0-1"]))


def test_compressed_features_are_near(tmp_path):
    save(tmp_path)
    kaldiio.save_ark(str(tmp_path / "feats.ark"), FEATS, scp=str(tmp_path / "feats.scp"), compression_method=2)
    found = read_kaldi(tmp_path).test.inputs
    torch.testing.assert_close(found, stacked(FEATS, LAST), rtol=0, atol=0.05)


def test_a_list_decides_the_utterances_and_may_have_been_moved(tmp_path):
    save(tmp_path)
    lines = (tmp_path / "feats.scp").read_text().replace(f"{tmp_path}/", "").splitlines()
    (tmp_path / "feats.scp").write_text("\n".join(reversed(lines[:10])))
    split = read_kaldi(tmp_path)
    assert torch.equal(split.test.targets, torch.from_numpy(ALI["speaker0-0"]).long())
    assert split.source.startswith("Kaldi archives, 9 utterances")


def test_utterances_without_an_alignment_are_left_out_aloud(tmp_path):
    save(tmp_path, ali={name: ALI[name] for name in LENGTHS if name not in LAST})
    with pytest.warns(UserWarning, match=r"2 utterances of .*feats\.scp are not in"):
        assert "17 utterances to train on and 1 to test on" in read_kaldi(tmp_path).source


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"feats": {"u": np.zeros((3, 40), np.float32)}}, r"utterance u: feats is float32 \(3, 40\), expected .*360"),
        ({"ali": {"u": np.zeros(2, np.int32)}}, "expected 3 integers from 0"),
        ({"ali": {"u": np.full(3, -1, np.int32)}}, "expected 3 integers from 0"),
        ({"ali": {"u": np.zeros(3, np.float32)}}, "ali is float32"),
        ({"feats": {"u": np.full((3, 360), np.inf, np.float32)}}, "not finite"),
        ({"ali": {"other": np.zeros(3, np.int32)}}, "no utterance is in both"),
        ({}, "has 1 aligned utterances: 10 at least"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path, changed, says):
    given = {"feats": {"u": np.zeros((3, 360), np.float32)}, "ali": {"u": np.zeros(3, np.int32)}}
    with pytest.raises(DataError, match=says):
        read_kaldi(save(tmp_path, **given | changed))


@pytest.mark.parametrize(
    "content", [b"u garbage", b"u \0Bgarbage", b"u \0BFM \4\4", b"u \0B\4\2\0\0\0\4\1", b"\xff\xfe 1"]
)
def test_a_damaged_archive_is_told(tmp_path, content):
    save(tmp_path, lists=False)
    (tmp_path / "ali.ark").write_bytes(content)
    with pytest.raises(DataError, match=r"ali\.ark"):
        read_kaldi(tmp_path)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled_and_no_command_is_run(tmp_path):
    save(tmp_path, lists=False)
    (tmp_path / "ali.ark").write_bytes(b"u PKL" + pickle.dumps(Trap()))
    with pytest.raises(DataError, match="utterance u: neither a matrix nor a vector"):
        read_kaldi(tmp_path)
    (tmp_path / "ali.scp").write_text(f"u touch {tmp_path}/ran |\n")
    with pytest.raises(DataError, match="is a command or a range"):
        read_kaldi(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"has no feats\.scp and ali\.scp"):
        read_kaldi(tmp_path)
    save(tmp_path)
    (tmp_path / "test_ali.scp").write_text("")
    with pytest.raises(DataError, match=r"has no test_feats\.scp and test_ali\.scp"):
        read_kaldi(tmp_path)
    (tmp_path / "test_ali.scp").unlink()
    (tmp_path / "feats.ark").unlink()
    with pytest.raises(DataError, match=r"feats\.ark cannot be read: No such file"):
        read_kaldi(tmp_path)


def test_without_kaldiio_the_way_to_it_is_told(tmp_path, monkeypatch):
    save(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "kaldiio", None)
    with pytest.raises(UsageError, match=r"pip install 'sharpmin\[kaldi\]'"):
        read_kaldi(tmp_path)
