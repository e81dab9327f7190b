"""A Ray cluster of two nodes on this machine; a worker is killed in mid-run, and the sweep ends with the same bits."""

import os
import signal

import pytest

from sharpmin.sweep.plan import plan
from sharpmin.sweep.work import finish
from sweep.running import begin, children
from sweep.toys import runs, same

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of a processor each."""
    utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    started = utils.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        started.add_node(**node)
        yield started
    finally:
        started.shutdown()


def test_with_a_worker_killed_it_completes_to_the_same_bits(cluster, tmp_path):
    out, whole = tmp_path / "killed", tmp_path / "whole"
    killed = begin(out, "--engine", "ray", RAY_ADDRESS=cluster.address)
    raylets = {node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()}
    assert len(raylets) == 2
    os.kill(children(raylets, "ray::work")[0], signal.SIGKILL)
    said = killed.communicate()[1]
    assert (killed.returncode, "1 workers lost" in said) == (0, True), said

    planned = plan(runs(), runs=out / "runs", device="cpu")
    assert [run.state for run in planned] == ["complete", "complete"]
    for run in planned:
        finish(run.trial, runs=whole, device="cpu", threads=1)
        assert same(run.folder, whole / run.folder.name)
