"""The monitor as a callback of the Hugging Face Trainer."""

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from sharpmin.monitor.monitor import Monitor


class MonitorCallback(TrainerCallback):
    """Measure while a Hugging Face Trainer trains: `Trainer(..., callbacks=[MonitorCallback(make)])`.

    Args:
        make: gives the monitor of a model, which is on its device by then, with its checkpoint's weights where it is
            resumed: `lambda model: Monitor(Objective(model, batches, loss=loss), file="curvature.jsonl")`.

    """

    def __init__(self, make: Callable[[Any], Monitor]) -> None:
        self.make = make
        self.monitor: Monitor | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Make the monitor, in the first process, and measure the start."""
        if state.is_world_process_zero:
            self.monitor = self.make(given["model"])
            self.monitor(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Measure, where a row is due."""
        if self.monitor is not None:
            self.monitor(state.global_step)
