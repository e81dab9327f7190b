"""Evaluations of f kept on disk, so that an interrupted search goes on where it was.

A search by L-BFGS-B is a deterministic function of the values and gradients it is given. So nothing of its own state
need be saved: started again, it asks for the same points in the same order, and those already evaluated are read back
instead of computed. At most the evaluation under way is lost. It also lets searches that begin at one point (two
epsilons, two spaces) share its evaluation.

Another process may have left the entries, with other code or another number of threads. So the first one found is
computed again, and should it differ by a bit, all are forgotten. Or it is at work on the same point right now: they
take turns, where the folder lies in a run's, and the first to be done forgets the other's entries too.
"""

import hashlib
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from sharpmin.disk import locked, readable, remove, write
from sharpmin.objective import Objective


class Journal(Objective):
    """f, whose values and gradients are remembered in a folder.

    Args:
        objective: f.
        folder: for this data set and loss alone: both go unchecked. Point, buffers, BatchNorm policy, batch size
            and precision are told apart.

    Raises:
        RunError: the folder cannot be written, or holds something else.

    Example:
        >>> import tempfile
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     kept = Journal(f, Path(folder))
        ...     value, _ = kept.value_and_grad(f.theta)
        ...     kept.value_and_grad(f.theta)[0] == value, len(list(Path(folder).iterdir()))
        (True, 1)

    """

    def __init__(self, objective: Objective, folder: Path) -> None:
        self.__dict__.update(objective.__dict__)
        self.folder = folder
        self.trusted = not folder.exists()

    def value_and_grad(self, theta: Tensor) -> tuple[float, Tensor]:
        """f(theta) and its gradient [n], computed or read back."""
        file = self.folder / f"{self._digest(theta)}.safetensors"
        with locked(self.folder.parent):
            if self.trusted and file.exists():
                return self._kept(file)
        found = super().value_and_grad(theta)
        with locked(self.folder.parent):
            if not (self.trusted or (file.exists() and same(self._kept(file), found))):
                remove(self.folder)
            self.trusted = True
            write(file, save({"gradient": found[1].cpu()}, metadata={"value": found[0].hex()}))
        return found

    def forget(self) -> None:
        """Remove the folder: what was searched for is found."""
        with locked(self.folder.parent):
            remove(self.folder)

    def _kept(self, file: Path) -> tuple[float, Tensor]:
        with readable(file), safe_open(file, framework="pt", device=str(self.device)) as opened:
            return float.fromhex(opened.metadata()["value"]), opened.get_tensor("gradient")

    def _digest(self, theta: Tensor) -> str:
        settings = (self.batch_norm, self.batch_size, self.precision, self.layout.names)
        digest = hashlib.sha256(repr(settings).encode())
        for tensor in (theta, *self._buffers.values()):
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:32]


def same(one: tuple[float, Tensor], other: tuple[float, Tensor]) -> bool:
    """Whether two evaluations are equal bit for bit."""
    return one[0].hex() == other[0].hex() and torch.equal(one[1].view(torch.uint8), other[1].view(torch.uint8))
