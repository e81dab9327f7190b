"""The local engine: every run in a process of its own, so that one that is lost takes no other with it.

The processes are spawned, not forked. They do not hear Ctrl-C, which is the driver's; they end with the driver, however
it ends.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Lock, Thread
from typing import Any

SPAWN = multiprocessing.get_context("spawn")


class Local(ThreadPoolExecutor):
    """Threads that each start a process, and wait for what it returns.

    Args:
        workers: how many processes at once.

    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT}))
        self.lock, self.closed = Lock(), False
        self.processes: set[SpawnProcess] = set()

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Call the function in a new process; a BrokenExecutor in its place where the process is lost."""
        return super().submit(self.call, function, *args, **options)

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What the function returns in a new process."""
        ours, theirs = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=answer, args=(theirs, function, args, options))
        with self.lock:
            if self.closed:
                raise BrokenExecutor("the sweep is over")
            process.start()  # with this thread's signal mask: the process does not hear Ctrl-C
            self.processes.add(process)
        theirs.close()
        try:
            return ours.recv()
        except EOFError:
            process.join()
            raise BrokenExecutor(f"its process ended with exit code {process.exitcode}") from None
        finally:
            process.join()
            self.processes.discard(process)
            ours.close()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, then the threads."""
        with self.lock:
            self.closed = True
            for process in self.processes:
                process.terminate()
        super().shutdown(wait, cancel_futures=cancel_futures)


def answer(pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """In the process: send what the function returns."""
    Thread(target=end_with_parent, daemon=True).start()
    pipe.send(function(*args, **options))


def end_with_parent() -> None:
    """Wait for the driver's end, then end at once."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
