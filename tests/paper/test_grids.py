"""Files of a run folder that are rows of a path, and those that are not."""

from sharpmin.paper.grids import Grid, grids, have_minimizers


def test_the_grids_of_a_run_folder_are_found_by_their_names(tmp_path):
    for name in ("line-25-5000.jsonl", "arc-4-60.jsonl", "line-4-5000.jsonl", "line-x.jsonl", "sharpness.jsonl"):
        (tmp_path / name).touch()
    found = grids(tmp_path)
    assert found == [Grid("arc", 4, 60), Grid("line", 25, 5000), Grid("line", 4, 5000)]
    assert all((tmp_path / grid.file).exists() for grid in found)


def test_one_minimizer_is_not_both():
    assert have_minimizers([{"alpha": alpha} for alpha in (-1.0, 0.0, 1.0)])
    assert not have_minimizers([{"alpha": alpha} for alpha in (-1.0, 0.0)])
    assert not have_minimizers([])
