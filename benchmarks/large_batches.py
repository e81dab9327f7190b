"""Memory and time of one training step, forward and backward, against what was foretold.

    python benchmarks/large_batches.py C2 5000 [--keep all|products|inputs] [--memory GiB] [--threads N]

Without --keep the library chooses. A line of JSON; the peak is that of the whole process (VmHWM), so Linux only.
"""

import argparse
import json
import time
from collections import Counter

import torch

from sharpmin import runtime, zoo
from sharpmin.blocked import Blocked, alike
from sharpmin.checkpointing import KEEPS
from sharpmin.memory import batch_of, estimate
from sharpmin.timing import TrainingStep

GIB = 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=sorted(zoo.NETWORKS))
    parser.add_argument("batch", type=int)
    parser.add_argument("--keep", choices=KEEPS)
    parser.add_argument("--memory", type=float, help="GiB that the activations may take")
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    tuned = runtime.tune(threads=asked.threads)
    model, like = zoo.build(asked.network, seed=0), zoo.default_interface(asked.network)
    example = torch.rand(like.shape)
    memory = estimate(model, example)
    network = Blocked(
        model,
        memory=None if asked.memory is None else asked.memory * GIB,
        keep=None if asked.keep is None else alike(model, asked.keep),
    )
    keep = network.chosen(batch_of(example, asked.batch))
    before = runtime.resident_memory()
    step = TrainingStep(network, like.shape, like.classes)
    began, worked = time.perf_counter(), time.process_time()
    step.seconds(asked.batch)
    found = {
        "network": asked.network,
        "batch": asked.batch,
        "threads": tuned.threads,
        "keep": Counter(keep),
        "foretold_gib": (before + memory.needed(asked.batch, keep)) / GIB,
        "peak_gib": runtime.peak_memory() / GIB,
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - worked,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
