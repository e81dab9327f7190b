"""Somebody's own work, named by an importable function: `mypkg.task:make`.

`make()` takes nothing and returns a model and its data, and what else f needs:

    def make():
        return model, data                       # cross-entropy on (input, target)
        return model, data, loss                 # loss(model, batch): see sharpmin.objective
        return Task(model, data, ...)            # by name

Importing it runs its module, as any import does: name only code of your own.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from sharpmin.batching import Data
from sharpmin.errors import TaskError, UsageError
from sharpmin.losses import Loss, classification

SHAPE = "return (model, data), (model, data, loss) or a sharpmin.Task"


@dataclass(frozen=True, eq=False)
class Task:
    """What is measured, beside the weights.

    Attributes:
        model: any module; the checkpoints are loaded into it.
        data: what f is the mean over: tensors `inputs` and `targets`, or any re-iterable of batches.
        loss: `loss(model, batch)`; cross-entropy on (input, target) by default.
        test: held-out data, where a verb can use them.
        calibration: training data for `batch_norm="recalibrate"`, where `data` is another set.

    """

    model: nn.Module
    data: Data
    loss: Loss = classification
    test: Data | None = None
    calibration: Data | None = None


def load_task(name: str) -> Task:
    """Import `package.module:function` (or `file.py:function`) and call it.

    Args:
        name: the module is looked for in the working directory first, then as Python does.

    Returns:
        The task that the function made.

    Raises:
        UsageError: no such module or function, or it returned something else.
        TaskError: the user's own code raised; the exception is chained.

    """
    made = call(name, wanted="task", gives="model and data")
    if isinstance(made, Task):
        return made
    if not isinstance(made, tuple) or len(made) not in (2, 3) or not isinstance(made[0], nn.Module):
        raise UsageError(f"{name} returned {type(made).__name__}, not a model with its data: let it {SHAPE}")
    return Task(*made)


def call(name: str, *, wanted: str, gives: str) -> Any:
    """Import `package.module:function` (or `file.py:function`) and call it.

    Args:
        name: the module is looked for in the working directory first, then as Python does.
        wanted: what such a function stands for, in a word.
        gives: what its call gives, for the error.

    Raises:
        UsageError: no such module or function.
        TaskError: the user's own code raised; the exception is chained.

    """
    return called(name, find(name, wanted=wanted, gives=gives))


def find(name: str, *, wanted: str, gives: str) -> Callable[..., Any]:
    """Import `package.module:function` (or `file.py:function`); for the rest see `call`."""
    place, _, function = name.rpartition(":")
    if not place or not function.isidentifier():
        raise UsageError(
            f"{name!r} names no {wanted}: give package.module:function or file.py:function, whose call gives {gives}"
        )
    return attribute(module(name, place), place, function)


def module(name: str, place: str) -> ModuleType:
    """Import a module by dotted name or by file."""
    try:
        if place.endswith(".py"):
            return module_of_file(Path(place))
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and place.split(".")[0] == error.name.split(".")[0]:
            raise UsageError(
                f"no module {place!r} in this folder or among the installed ones: start sharpmin where `python -c "
                f'"import {place}"` works, or name the file: path/to/task.py:make'
            ) from error
        raise failed(name, error) from error
    except UsageError:
        raise
    except Exception as error:
        raise failed(name, error) from error


def module_of_file(file: Path) -> ModuleType:
    """Import a file under its own name, its folder first on the path, as `python file.py` would."""
    if not file.is_file():
        raise UsageError(f"there is no file {file}: name the one that defines the function")
    folder = str(file.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = loaded  # pickled batches and dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


def attribute(loaded: ModuleType, place: str, function: str) -> Callable[..., Any]:
    """The function of that name."""
    found = getattr(loaded, function, None)
    if not callable(found):
        own = [n for n, v in vars(loaded).items() if getattr(v, "__module__", None) == loaded.__name__ and callable(v)]
        raise UsageError(f"{place} has no function {function!r}; it defines {', '.join(own) or 'none'}")
    return found


def called(name: str, make: Callable[[], Any]) -> Any:
    """What the function returns."""
    try:
        return make()
    except Exception as error:
        raise failed(name, error) from error


def failed(name: str, error: Exception) -> TaskError:
    """The error that says whose code it was."""
    return TaskError(
        f"{name} failed with {type(error).__name__}: {' '.join(str(error).split())}; SHARPMIN_TRACEBACK=1 shows where"
    )
