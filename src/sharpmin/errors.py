"""What went wrong, in a sentence that says what to do next.

The library raises these; the command line prints the sentence and exits with the class's `exit_code`
(1: the work failed, 2: the request could not be understood). A traceback is shown only when asked for.
"""


class SharpminError(Exception):
    """A failure whose message names the problem and the way out."""

    exit_code = 1


class UsageError(SharpminError, ValueError):
    """An argument that cannot be used: an unknown name, an empty batch, a negative epsilon."""

    exit_code = 2


class DataError(SharpminError):
    """A data set that cannot be had or is not what its checksum promises."""


class RunError(SharpminError):
    """A run folder that cannot be read, belongs to something else, or cannot be written."""


class DivergedError(SharpminError):
    """Training met a loss that is not finite; the last good state is on disk."""


class CheckpointError(SharpminError):
    """A checkpoint that cannot be read, is refused, or does not fit the model."""


class TaskError(SharpminError):
    """A user's own function or module raised."""


SHORT = ("out of memory", "allocate memory", "not enough memory", "ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused: by Python or NumPy, or in the words of PyTorch, whose RuntimeError it is."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in SHORT)
