"""What f is like along a training: measures taken every so many steps, within a share of the training's time."""

from sharpmin.monitor.monitor import Monitor, Row, read_rows
from sharpmin.monitor.questions import MEASURES

__all__ = ["MEASURES", "Monitor", "Row", "read_rows"]
