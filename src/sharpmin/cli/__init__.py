"""The command line: verbs turned into library calls, and errors into one line and an exit code.

Exit codes: 0 done, 1 the work failed, 2 the request could not be understood, 130 interrupted. The verbs import
PyTorch when they run, so that help and a wrong option answer at once.
"""

import contextlib
import errno
import math
import os
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, get_args

from cyclopts import App, CoercionError, CycloptsError, Parameter, Token, convert

from sharpmin.cli.align import align
from sharpmin.cli.compare import compare
from sharpmin.cli.connect import connect
from sharpmin.cli.data import data_app
from sharpmin.cli.doctor import doctor
from sharpmin.cli.noise_scale import noise_scale
from sharpmin.cli.paper import paper_app
from sharpmin.cli.path import path
from sharpmin.cli.plan import plan
from sharpmin.cli.plane import plane
from sharpmin.cli.plot import plot, redraw
from sharpmin.cli.report import report
from sharpmin.cli.sharpness import sharpness
from sharpmin.cli.spectrum import spectrum
from sharpmin.cli.sweep import sweep
from sharpmin.cli.tables import tables
from sharpmin.cli.together import Stopped, check_verb, one_voice, tell
from sharpmin.cli.train import train
from sharpmin.distributed.launch import launched
from sharpmin.errors import SharpminError, is_out_of_memory

LESS = ("--large-batch", "--batch-size", "--evaluation-batch", "--train-size", "--budget", "--workers")
"""Options that need less memory the smaller they are."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def converted(hint: Any, tokens: Sequence[Token]) -> Any:
    """Convert words as cyclopts does, but refuse fractions for integers (it rounds), seeds below 0, nan and inf."""
    kinds = {hint, *get_args(hint)}
    for token in tokens:
        if int in kinds and "." in token.value:
            raise CoercionError(token=token, msg=f"{token.value} is not a whole number")
        if token.keyword == "--seed" and token.value.startswith("-"):
            raise CoercionError(token=token, msg=f"{token.value} is below 0")
        if float in kinds and not math.isfinite(convert(float, [token])):
            raise CoercionError(token=token, msg=f"{token.value} is not a finite number")
    return convert(hint, tokens)


app = App(
    name="sharpmin",
    help="Did this run land in a sharp minimum, and is that why it generalises worse?",
    version_flags=["--version"],
    default_parameter=Parameter(converter=converted),
    suppress_keyboard_interrupt=False,  # `run` says what is kept
)
app.command(plot)
app.command(redraw)
app.command(train)
app.command(compare)
app.command(sharpness)
app.command(spectrum)
app.command(noise_scale)
app.command(path)
app.command(plane)
app.command(connect)
app.command(align)
app.command(tables)
app.command(report)
app.command(paper_app)
app.command(sweep)
app.command(data_app)
app.command(plan)
app.command(doctor)


def main() -> None:
    """Run the command line and exit."""
    warnings.showwarning = one_line_warning
    if sys.stderr is None:  # closed; the results can be had all the same
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until the end
    if isinstance(sys.stdout, TextIOWrapper):  # a table is no reason to fail where the locale has no "±"
        sys.stdout.reconfigure(errors="replace")
    code = run(sys.argv[1:])
    if (why := unprinted()) and code == 0:
        code = fail(f"the output could not be written: {why}", 1)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; errors become one line on stderr.

    SHARPMIN_TRACEBACK=1 shows the traceback instead.
    """
    if os.environ.get("SHARPMIN_TRACEBACK"):
        with one_voice():
            check_verb(arguments)
            app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return 0
    try:
        with contextlib.suppress(BrokenPipeError), one_voice():
            check_verb(arguments)
            app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return fail(" ".join(str(error).split()), 2)
    except SharpminError as error:
        return fail(str(error), error.exit_code, stopped=isinstance(error, Stopped))
    except SystemExit as error:  # of somebody's module that is a script
        if isinstance(error.__context__, BrokenPipeError):  # so rich ends a table that nobody reads on
            return 0
        return fail(f"code that this command imports called sys.exit({error.code!r}): let it only define", 1)
    except KeyboardInterrupt:
        return fail(
            "interrupted; what was finished is kept, and the same command goes on from there", 130, stopped=True
        )
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:  # of a file, or of the network
            raise
        return fail(f"the output could not be written: {error.strerror}", 1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said = [str(error).partition("\n")[0].rstrip("."), f"try {less(arguments)}"]
        return fail(f"out of memory: {'; '.join(said)}", 1)
    return 0


def unprinted() -> str:
    """Why what was printed could not be written; empty where it could, or where nobody reads on."""
    if sys.stdout is None:
        return "it is closed"
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes when it ends
        return "" if isinstance(error, BrokenPipeError) else str(error.strerror)
    return ""


def less(arguments: list[str]) -> str:
    """What of this command can be made smaller."""
    _, apps, _ = app.parse_commands(arguments)
    known = {name for argument in apps[-1].assemble_argument_collection() for name in argument.names}
    options = [f"a smaller {name}" for name in LESS if name in known]
    if "--only" in known:  # a verb that measures, perhaps data that come in batches
        options.append("smaller batches of data of your own")
    return " or ".join(options) or "a machine with more"


def fail(sentence: str, code: int, *, stopped: bool = False) -> int:
    """Print an error in one line, once for all processes of a job, and give back its exit code."""
    tell(f"sharpmin: {sentence}", stopped=stopped)
    return code


def one_line_warning(
    message: Any, category: Any, filename: Any, lineno: Any, file: Any = None, line: Any = None
) -> None:
    """Print a warning without the source line it came from."""
    if launched().rank == 0:
        print(f"sharpmin: warning: {message}", file=sys.stderr)
