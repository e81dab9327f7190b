"""The Ray engine: runs as Ray tasks, on a cluster of any size.

`ray.init()` decides where: the cluster that RAY_ADDRESS names, else the one that `ray start` began on this machine,
else one of this machine alone. Ray shares out processors and GPUs; handing a lost run out again is the driver's.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from sharpmin.errors import UsageError


class Ray(Executor):
    """Ray tasks as an executor; every task has a process of its own.

    Args:
        cpus: processors of a task.
        gpus: graphics cards of a task, or a share of one.

    Raises:
        UsageError: Ray is not installed, or its cluster cannot be reached.

    """

    def __init__(self, *, cpus: int, gpus: float) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError("--engine ray needs Ray: pip install 'sharpmin[ray]'") from error
        try:
            ray.init(logging_level="WARNING")
        except ConnectionError as error:
            raise UsageError(f"no Ray cluster answers ({error}): `ray start` it, or unset RAY_ADDRESS") from error
        self.ray = ray
        self.resources = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0, "max_calls": 1}

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Call the function on the cluster; Ray's own error in its place where the worker is lost."""
        return self.ray.remote(**self.resources)(function).remote(*args, **options).future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which ends what of ours still runs there."""
        self.ray.shutdown()
