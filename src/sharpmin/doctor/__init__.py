"""What would make this machine faster, each advice with its measured effect.

facts.py      what is here: PyTorch's build, memory, data, GPUs
contest.py    training steps under different settings, in turn, in processes of their own (worker.py)
rows.py       both together, in rows with a sentence of advice each
"""

from sharpmin.doctor.rows import Checkup, Row, checkup

__all__ = ["Checkup", "Row", "checkup"]
