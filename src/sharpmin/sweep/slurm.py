"""The Slurm engine: runs as jobs of a cluster, through submitit.

Its folder (scripts, logs, results of the jobs) lies beside the runs and must be seen by the nodes.
"""

import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from sharpmin.errors import UsageError

LOOK_EVERY = 2.0  # seconds


class Slurm(ThreadPoolExecutor):
    """Slurm jobs as an executor: a thread waits for each.

    Args:
        folder: for submitit's files.
        jobs: how many at once.
        cpus: processors of a job.
        gpus: graphics cards of a job.
        options: further options of sbatch by their names, such as partition and time.
        cluster: "slurm", or "local" for processes on this machine in Slurm's place.

    Raises:
        UsageError: submitit is not installed, or there is no Slurm here.

    """

    def __init__(
        self, folder: Path, *, jobs: int, cpus: int, gpus: int, options: Mapping[str, str], cluster: str = "slurm"
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UsageError("--engine slurm needs submitit: pip install 'sharpmin[slurm]'") from error
        try:
            self.cluster = submitit.AutoExecutor(folder, cluster=cluster)
        except RuntimeError as error:
            raise UsageError("there is no Slurm here: start the sweep on a machine that has sbatch and srun") from error
        self.cluster.update_parameters(name="sharpmin", cpus_per_task=cpus, slurm_additional_parameters=dict(options))
        if gpus:
            self.cluster.update_parameters(gpus_per_node=gpus)
        super().__init__(jobs)
        self.lock = Lock()  # submitit asks for the state of all jobs at once, and is not made for several threads
        self.jobs: set[Any] = set()

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Call the function in a job; submitit's own error in its place where the job is lost."""
        with self.lock:
            job = self.cluster.submit(function, *args, **options)
            self.jobs.add(job)
        return super().submit(self.result, job)

    def result(self, job: Any) -> Any:
        """What the function returned, once the job is done."""
        while not self.is_over(job):
            time.sleep(LOOK_EVERY)
        with self.lock:
            self.jobs.discard(job)
            if not job.done():
                raise BrokenExecutor(f"Slurm job {job.job_id} left the queue without a result")
            return job.result()

    def is_over(self, job: Any) -> bool:
        """Whether the job is done, by its result or by Slurm's accounting; without accounting, by the queue."""
        with self.lock:
            if job.done() or job.state != "UNKNOWN":
                return job.done()
        queue = subprocess.run(
            ["squeue", "--me", "--noheader", "--format=%i"], capture_output=True, text=True, check=False
        )
        return queue.returncode == 0 and job.job_id not in queue.stdout.split()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel the jobs that are not done."""
        with self.lock:
            for job in self.jobs:
                job.cancel(check=False)
        super().shutdown(wait, cancel_futures=cancel_futures)
