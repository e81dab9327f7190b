"""A page of everything: hand-written runs, and what the verbs leave of a tiny task."""

import json
import shutil

import pytest
import torch
from torch import nn

from report.made import lines, runs
from sharpmin import Objective
from sharpmin import report as reports
from sharpmin.cli import run
from sharpmin.monitor import Monitor

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,800"),
)
TASK = """
import torch
from torch import nn
from cases import examples

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), examples(20, 4, dtype=torch.float32)
"""
VERBS = (
    "sharpness TASK a.pt b.pt --iterations 2",
    "spectrum TASK a.pt b.pt --k 2 --which both --trace --density",
    "noise-scale TASK a.pt b.pt --noise-batch 4",
    "compare TASK a.pt b.pt",
    "path TASK a.pt b.pt --points 4",
    "plane TASK a.pt b.pt c.pt --points 9",
    "plane TASK a.pt b.pt c.pt --trajectory --points 3",
    "plane TASK a.pt --lines 3 --points 5",
    "connect TASK a.pt b.pt --epochs 1 --points 5",
)


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A folder with runs/ and Figures/ of a tiny task, as the verbs leave them, and a monitor's file."""
    folder = tmp_path_factory.mktemp("task")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sharpmin.runtime.keep_freed_memory", lambda: "left alone: a test")
        (folder / "mytask.py").write_text(TASK)
        for seed, name in enumerate("abc"):
            torch.manual_seed(seed)
            torch.save(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).state_dict(), f"{name}.pt")
        for verb in VERBS:
            command = verb.replace("TASK", "mytask.py:make").split()
            assert run([*command, "--threads", "1", "--quiet"]) == 0
        watch(folder)
    return folder


def watch(folder):
    """Leave a monitor's file."""
    model = nn.Linear(4, 3)
    batches = [(torch.randn(8, 4), torch.randint(3, (8,)))]
    monitor = Monitor(Objective(model, batches), file=folder / "watched.jsonl", every=5, share=1, measures=["loss"])
    for step in range(0, 16, 5):
        monitor(step)


def of_two(folder):
    """The run folder of the two checkpoints compared."""
    known = {file.parent: json.loads(file.read_text()) for file in folder.glob("runs/*/settings.json")}
    return next(run for run, settings in known.items() if len(settings["checkpoints"]) == 2)


@pytest.fixture(scope="session")
def report(measured, tmp_path_factory):
    """The page of four hand-written runs, with the task's spectrum and noise scale for one, and of its figures."""
    folder = tmp_path_factory.mktemp("report")
    made = runs(folder)
    task = of_two(measured)
    for name in ("spectrum.jsonl", "density.jsonl", "noise-scale.jsonl"):
        rows = [json.loads(line) for line in (task / name).read_text().splitlines()]
        lines(made[0] / name, [{**row, "minimizer": {"a": "LB", "b": "SB"}[row["minimizer"]]} for row in rows])
    file = folder / "report.html"
    reports.write([*made, *sorted(measured.glob("Figures/*.json")), measured / "watched.jsonl"], file)
    return file


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser whose downloads are in `chromium.downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    places = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in places:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = places[0]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(places[1]))
    driver.downloads = tmp_path_factory.mktemp("downloads")
    where = {"behavior": "allow", "downloadPath": str(driver.downloads)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    yield driver
    driver.quit()
