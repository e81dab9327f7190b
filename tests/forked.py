"""Programs in processes of their own that start at once: forked from one that has imported what takes seconds.

That one computes nothing, and is started by the first program that a test worker runs. What a program prints is not
for the test to read, and its memory is not its own alone: where either matters, use `subprocess`.
"""

import multiprocessing
import os
import sys

IMPORTED = (
    *("torch", "torch._dynamo", "matplotlib.backends.backend_pdf", "rich.progress"),
    *("sharpmin.cli", "sharpmin.paper.parametric", "sharpmin.plots"),
)
SHARPMIN = "from sharpmin.cli import main; main()"


def start(program, *arguments, **environment):
    """Begin the text of a program, in this folder; a process that ends by a signal has its negative as `exitcode`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    process = context.Process(
        target=carry_out, args=(program, [str(a) for a in arguments], os.getcwd(), {**os.environ, **environment})
    )
    process.start()
    return process


def exit_code(*processes):
    """How a program ended; of several that all ended alike."""
    for process in processes:
        process.join()
    (code,) = {process.exitcode for process in processes}
    return code


def carry_out(program, arguments, folder, environment):
    """In the child: its own folder, environment and arguments, as `python -c` has them."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(program, {"__name__": "__main__"})
