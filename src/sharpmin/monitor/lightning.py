"""The monitor as a callback of Lightning's Trainer."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback

from sharpmin.monitor.monitor import Monitor


class MonitorCallback(Callback):
    """Measure while a Lightning Trainer trains: `Trainer(callbacks=[MonitorCallback(make)])`.

    Args:
        make: gives the monitor of a module, which is on its device by then, with its checkpoint's weights where it is
            resumed: `lambda module: Monitor(Objective(module.net, data), file="curvature.jsonl")`. To log:
            `log=lambda step, values: module.logger.log_metrics(values, step)`.

    """

    def __init__(self, make: Callable[[Any], Monitor]) -> None:
        self.make = make
        self.monitor: Monitor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make the monitor, in the first process, and measure the start."""
        if trainer.is_global_zero:
            self.monitor = self.make(pl_module)
            self.monitor(trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Measure, where a row is due."""
        if self.monitor is not None:
            self.monitor(trainer.global_step)
