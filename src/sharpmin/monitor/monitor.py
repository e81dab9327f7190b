"""Measure f while it is being minimised, a row at a time, without the training noticing.

    monitor = Monitor(Objective(model, some_of_the_data), file="curvature.jsonl", every=100, share=0.1)
    for step, batch in enumerate(loader):
        ...
        monitor(step)

Every `every` steps there is a row: loss, distance from the start, lambda_max, gradient noise scale and Metric 2.1 at
the model's present weights. Where measuring would take more than `share` of the time, the row is left to a later step
and says how many were. Weights, buffers, gradients, modes and all random states are those of a training without a
monitor, bit for bit; a measure that fails leaves its error in the row, and the training goes on.
"""

import json
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from sharpmin.disk import explained, having, readable, write
from sharpmin.errors import RunError, UsageError
from sharpmin.monitor.budget import Budget
from sharpmin.monitor.questions import MEASURES, Answer, Memory, chosen
from sharpmin.objective import Objective

Log = Callable[[int, Mapping[str, float]], object]


@dataclass(frozen=True)
class Row:
    """What was measured at one step.

    Attributes:
        step: as given.
        values: by measure; those that failed are missing.
        evidence: by measure, what makes its value believable.
        errors: by measure, what went wrong; "log" where the caller's `log` did.
        skipped: rows that were due since the last one and left out, to keep the share.
        seconds: that this measuring took.
        spent: seconds that all measuring so far took, this one included.
        elapsed: seconds from the first call to the end of this measuring.

    """

    step: int
    values: dict[str, float]
    evidence: dict[str, dict[str, Any]]
    errors: dict[str, str]
    skipped: int
    seconds: float
    spent: float
    elapsed: float

    def line(self) -> dict[str, Any]:
        """The row as it stands in the file: the values by name beside the other fields."""
        rest = {key: value for key, value in asdict(self).items() if key not in ("step", "values")}
        return {"step": self.step, **self.values, **rest}


class Monitor:
    """A callable for any training loop: `monitor(step)` measures where a row is due and there is time for it.

    Args:
        objective: f, over the very model that is trained and over data of its own (not the training's loader): a
            fixed part of the training set is usual.
        file: JSON Lines, a row a line, appended and closed at once; None keeps none. Where it has rows, they are gone
            on from: a step up to the last of them is not measured again.
        every: steps from one row to the next.
        share: of the time since the first call, that measuring may take; 1 for no limit.
        measures: names of `MEASURES`.
        also: more of them, name to a function of the objective that gives a number or a result with a `value`.
        log: `log(step, {name: value})`, after each row; see `sharpmin.monitor.logs`.
        start: theta_0 [n], where the distance is taken from; by default the weights when the monitor is made, which
            are kept beside the file in NAME.start.safetensors for those who go on.
        noise_batch: examples per batch of the noise scale; where BatchNorm uses the batch's statistics, your training's
            batch size makes sense.
        seed: of what is random in a measure.
        clock: gives seconds.

    Raises:
        UsageError: an unknown measure; `every` below 1; a share not above 0 or above 1; a start of another length.
        RunError: the file cannot be read or written, or has rows and theta_0 is gone.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3).train
        >>> model = torch.nn.Linear(4, 3)
        >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> monitor = Monitor(Objective(model, toy), every=5, share=1, measures=["loss", "lambda-max"])
        >>> for step in range(11):
        ...     if row := monitor(step):
        ...         print(row.step, list(row.values))
        ...     torch.nn.functional.cross_entropy(model(toy.inputs), toy.targets).backward()
        ...     sgd.step()
        0 ['loss', 'lambda-max']
        5 ['loss', 'lambda-max']
        10 ['loss', 'lambda-max']

    """

    def __init__(
        self,
        objective: Objective,
        *,
        file: Path | str | None = None,
        every: int = 100,
        share: float = 0.1,
        measures: Iterable[str] = tuple(MEASURES),
        also: Mapping[str, Callable[[Objective], Any]] | None = None,
        log: Log | None = None,
        start: Tensor | None = None,
        noise_batch: int | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        check(every, share)
        self.objective, self.every, self.log = objective, every, log
        self.file = None if file is None else Path(file)
        self.questions = chosen(tuple(measures), also or {})
        last = self._last_row()
        self.last_step: int | None = last.get("step")
        past = {"elapsed": last.get("elapsed", 0.0), "spent": last.get("spent", 0.0), "last": last.get("seconds", 0.0)}
        self.budget = Budget(share, clock, **past)
        self.memory = Memory(self._theta_0(start), noise_batch=noise_batch, seed=seed)
        self.due, self.skipped, self.called = self._turn(self.last_step) + 1, 0, False

    def __call__(self, step: int) -> Row | None:
        """Measure, where a row is due at this step and the share allows it.

        Returns:
            The row, or None.

        Warns:
            RuntimeWarning: the row could not be written; or, at the first call, the file has rows of later steps.

        """
        self._check_first(step)
        if self._turn(step) < self.due:
            return None
        self.due = self._turn(step) + 1
        if not self.budget.allows():
            self.skipped += 1
            return None
        row = self._measured(step)
        self.skipped = 0
        self._write(row)
        return row

    def _measured(self, step: int) -> Row:
        """The answers of all questions, and what it took to have them."""
        answers, errors = dict[str, Answer](), dict[str, str]()
        settle(self.objective.device)  # what the training has under way there is not on our account
        with self.budget.spending(), undisturbed(self.objective.device):
            f = self.objective.differentiable()
            for name, ask in self.questions.items():
                with noting(errors, name):
                    answers[name] = ask(f, self.memory)
            values = {name: answer.value for name, answer in answers.items()}
            if self.log is not None:
                with noting(errors, "log"):
                    self.log(step, values)
        evidence = {name: answer.evidence for name, answer in answers.items() if answer.evidence}
        seconds, spent, elapsed = self.budget.last, self.budget.spent, self.budget.elapsed
        return Row(step, values, evidence, errors, self.skipped, seconds, spent, elapsed)

    def _turn(self, step: int | None) -> int:
        """How many rows were due before this step's."""
        return -1 if step is None else step // self.every

    def _check_first(self, step: int) -> None:
        """Warn, at the first call, of rows that a file has of later steps: are they of this training?"""
        if not self.called and self.last_step is not None and step < self.last_step:
            warnings.warn(
                f"{self.file} has rows up to step {self.last_step}: steps up to there are not measured again; for "
                "another training give another file",
                RuntimeWarning,
                stacklevel=3,
            )
        self.called = True

    def _last_row(self) -> dict[str, Any]:
        """The last row of the file, whose end is mended where a kill tore it."""
        if self.file is None:
            return {}
        mend(self.file)
        rows = read_rows(self.file) if self.file.exists() else []
        return rows[-1] if rows else {}

    def _theta_0(self, given: Tensor | None) -> Tensor:
        """Where the distance is taken from, on the CPU: as given, as kept, or the present weights, which are kept."""
        theta = self.objective.theta.cpu()
        if given is not None and given.shape != theta.shape:
            raise UsageError(f"start has shape {list(given.shape)}; the model has {len(theta)} weights")
        if given is not None or self.file is None or "distance" not in self.questions:
            return theta if given is None else given.detach().cpu()
        kept = self.file.with_suffix(".start.safetensors")
        if self.last_step is None:
            write(kept, save({"theta": theta}))
            return theta
        if not kept.exists():
            raise RunError(
                f"{self.file} has rows, but {kept.name} beside it, which the distance is taken from, is gone: restore "
                "it, give start=, or leave out the distance"
            )
        with readable(kept):
            return load_file(kept)["theta"]

    def _write(self, row: Row) -> None:
        """Append the row; a disk that is full is no reason to end a training."""
        if self.file is None:
            return
        try:
            with self.file.open("ab") as opened:
                opened.write((json.dumps(row.line()) + "\n").encode())
        except OSError as error:
            warnings.warn(f"cannot write {self.file}: {error}; its row is lost", RuntimeWarning, stacklevel=3)


def check(every: int, share: float) -> None:
    """Raise a UsageError for a rhythm that makes no sense."""
    if every < 1:
        raise UsageError(f"every is {every}: measure every 1 step, or more")
    if not 0 < share <= 1:
        raise UsageError(f"share is {share}: give a part of the training time above 0, and at most 1")


def read_rows(file: Path | str) -> list[dict[str, Any]]:
    """Read the whole rows of a monitor's file.

    Raises:
        RunError: the file cannot be read, or is not JSON Lines.

    """
    file = Path(file)
    with readable(file):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        return [having(json.loads(line), (), f"line {number}") for number, line in enumerate(lines, 1)]


def mend(file: Path) -> None:
    """Cut off a last line without an end, and make sure that the file can be written."""
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as opened:
            opened.seek(0)
            opened.truncate(opened.read().rfind(b"\n") + 1)


def settle(device: torch.device) -> None:
    """Wait for what is under way on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def noting(errors: dict[str, str], name: str) -> Iterator[None]:
    """Put an error down under this name and go on."""
    try:
        yield
    except Exception as error:
        errors[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Leave every random state as it is, and take gradients in full precision in whatever mode the caller is."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    gpus = [device] if device.type == "cuda" else []
    plain = torch.autocast(device.type, enabled=False)
    try:
        with torch.random.fork_rng(gpus), torch.inference_mode(False), torch.enable_grad(), plain:
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
