"""An exception in somebody's own model, loss or data: one line that says what it was, where, and how to see more."""

import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

import sharpmin
from sharpmin.errors import SharpminError, TaskError, is_out_of_memory


@contextmanager
def own_code(source: str) -> Iterator[None]:
    """Turn an exception that came from the task into one line; any other stays as it is.

    It came from the task where code that is neither ours nor a library's is on the way to it, or where a batch was
    fetched or evaluated: the model may be PyTorch's own.
    """
    try:
        yield
    except (SharpminError, BrokenPipeError):
        raise
    except (Exception, SystemExit) as error:
        found = place(error)
        if is_out_of_memory(error) or not (found or passed_through(error, *seams())):
            raise
        parts = [f"{source} failed{found and f' at {found}'} with {said(error)}", *hints(error)]
        raise TaskError(f"{'; '.join(parts)}; SHARPMIN_TRACEBACK=1 shows the traceback") from error


def said(error: BaseException) -> str:
    """The exception in one line; of one in a loader's process, which comes with its traceback, the last line."""
    text = str(error)
    if "Original Traceback" in text:
        return text.strip().splitlines()[-1].rstrip(".")
    return f"{type(error).__name__}: {' '.join(text.split())}".rstrip(". :")


def place(error: BaseException) -> str:
    """The innermost line of code that is neither ours nor a library's, as file:line; "" where there is none."""
    places = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    own = [f"{shortened(Path(file))}:{line}" for file, line in places if is_own(Path(file))]
    return own[-1] if own else ""


def is_own(file: Path) -> bool:
    """Whether this is a file of somebody's own."""
    libraries = (Path(sharpmin.__file__).parent, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return file.suffix == ".py" and not installed and not any(file.is_relative_to(folder) for folder in libraries)


def shortened(file: Path) -> Path:
    """Relative to the working directory, where it is in there."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def passed_through(error: BaseException, *functions: object) -> bool:
    """Whether one of these functions had been called and had not returned."""
    codes = [getattr(function, "__code__", None) for function in functions]
    return any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__))


def seams() -> tuple[object, ...]:
    """Where a task's model, loss and data are called."""
    from sharpmin.batching import batches
    from sharpmin.network import Swapped
    from sharpmin.objective import Objective

    return batches, Objective.score, Objective.gradients, Swapped.forward, Swapped.lend


def hints(error: BaseException) -> Iterator[str]:
    """What may be the matter."""
    from sharpmin.losses import unmasked

    if passed_through(error, unmasked):
        yield "a task without a loss of its own has batches (inputs, targets) of tensors, which cross-entropy takes"
    if isinstance(error, SystemExit):
        yield "what only a script should do belongs under if __name__ == '__main__'"
