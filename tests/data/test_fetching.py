import errno
import os
import threading

import pytest

from data.files import tiny_dataset, tiny_mnist, write
from sharpmin.data.cache import own_copy
from sharpmin.data.dataset import Source
from sharpmin.data.fetching import DAY, WORK_PREFIX, bring
from sharpmin.data.sources import installed
from sharpmin.errors import DataError
from sharpmin.progress import silent

CONTENTS = tiny_mnist()


def serving(contents, label="here", **options):
    """A source that has these contents; it also says which files it was asked for."""
    asked = []

    def serve(wanted, workdir, progress):
        asked.append([file.name for file in wanted])
        return ((file, contents[file.name]) for file in wanted if file.name in contents)

    return Source(label, serve, **options), asked


def failing(error, label="there"):
    def fail(wanted, workdir, progress):
        raise error

    return Source(label, fail)


def fetched(root, *sources, offline=False):
    dataset = tiny_dataset(CONTENTS, *sources)
    bring(dataset, own_copy(dataset, root), offline=offline, progress=silent)
    return sorted(path.name for path in (root / "tiny").iterdir())


def test_sources_are_tried_in_turn_until_the_set_is_whole(tmp_path):
    good, asked = serving(CONTENTS)
    never, unasked = serving(CONTENTS)
    assert fetched(tmp_path, failing(DataError("gone")), good, never) == sorted(CONTENTS)
    assert len(asked) == 1
    assert unasked == []


def test_a_later_source_is_asked_only_for_what_is_still_missing(tmp_path):
    first, *others = CONTENTS
    part, _ = serving({first: CONTENTS[first]})
    rest, asked = serving(CONTENTS)
    assert fetched(tmp_path, part, rest) == sorted(CONTENTS)
    assert asked == [others]


def test_nothing_wrong_is_kept_and_everything_tried_is_told(tmp_path):
    bad, _ = serving(CONTENTS | {"t10k-labels-idx1-ubyte": b"wrong"}, label="mirror")
    with pytest.raises(DataError) as caught:
        fetched(tmp_path, failing(DataError("no answer within 10 s"), label="home"), bad)
    told = str(caught.value)
    assert "home (no answer within 10 s)" in told
    assert "mirror (its t10k-labels-idx1-ubyte is not the original: 5 bytes" in told
    assert f"put the four files in {tmp_path}" in told
    assert "SHARPMIN_DATA" in told
    assert "\n" not in told
    assert "t10k-labels-idx1-ubyte" not in [path.name for path in (tmp_path / "tiny").iterdir()]


def test_offline_asks_local_sources_alone(tmp_path):
    remote, asked = serving(CONTENTS, label="remote")
    with pytest.raises(DataError, match=r"remote \(skipped, offline\).*SHARPMIN_OFFLINE"):
        fetched(tmp_path, remote, offline=True)
    write(tmp_path / "usr", CONTENTS)
    local = Source("installed", installed(str(tmp_path / "usr")), local=True)
    assert fetched(tmp_path, remote, local, offline=True) == sorted(CONTENTS)
    assert asked == []


def test_a_corrupt_file_in_the_cache_is_named_and_replaced(tmp_path):
    write(tmp_path / "tiny", CONTENTS | {"t10k-labels-idx1-ubyte": b"rotten"})
    good, asked = serving(CONTENTS)
    with pytest.warns(UserWarning, match="t10k-labels-idx1-ubyte is truncated.*removed from the cache"):
        assert fetched(tmp_path, good) == sorted(CONTENTS)
    assert asked == [["t10k-labels-idx1-ubyte"]]


def test_a_full_disk_names_the_folder_and_the_need_and_leaves_nothing(tmp_path):
    def fill(wanted, workdir, progress):
        (workdir / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    need = sum(map(len, CONTENTS.values()))
    with pytest.raises(DataError, match=f"no space left in {tmp_path}/tiny: {need} bytes"):
        fetched(tmp_path, Source("here", fill))
    assert list((tmp_path / "tiny").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "tiny").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written.*SHARPMIN_DATA"):
        fetched(tmp_path, serving(CONTENTS)[0])


def test_what_a_killed_process_left_is_swept_away_once_it_is_old(tmp_path):
    old, new = (tmp_path / "tiny" / f"{WORK_PREFIX}{age}" for age in ("old", "new"))
    write(old, {"half": b"h"})
    write(new, {"half": b"h"})
    os.utime(old, (old.stat().st_mtime - 2 * DAY,) * 2)
    assert fetched(tmp_path, serving(CONTENTS)[0]) == sorted([*CONTENTS, new.name])


def test_two_fetches_at_once_end_with_the_right_files(tmp_path):
    together = threading.Barrier(2)

    def serve(wanted, workdir, progress):
        together.wait()
        for file in wanted:
            yield file, CONTENTS[file.name]

    threads = [threading.Thread(target=fetched, args=(tmp_path, Source("here", serve))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()} == CONTENTS
