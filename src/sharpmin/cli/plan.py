"""`sharpmin plan`: what a training will take, before it begins."""

import json as encoding
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sharpmin.errors import SharpminError, UsageError

if TYPE_CHECKING:
    from sharpmin.planning import Forecast
    from sharpmin.timing import Summary

GIB = 2**30
MEANING = {
    "all": "keep everything",
    "products": "keep what convolutions and dense layers gave and compute the cheap rest again",
    "inputs": "keep what goes in and compute all of it again",
}


def plan(
    network: str,
    /,
    *,
    batch_size: int | None = None,
    memory: float | None = None,
    epochs: int | None = None,
    train_size: int | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    threads: int | None = None,
    seconds: float = 6,
    json: Path | None = None,
) -> None:
    """Say how much memory and time a training will take on this machine's processors; nothing is trained.

    Memory is counted from what each layer keeps for an example. Time is measured: steps at two small batches take
    turns, and a line through them gives the batch asked for. Exit code 1 if the training would not fit.

    Parameters
    ----------
    network
        F1, F2, C1, C2, C3 or C4.
    batch_size
        Examples per step, all of which BatchNorm sees together; 10% of the training set by default.
    memory
        GiB that the process may take; by default six tenths of what is free, and what it has.
    epochs
        Passes over the training set; by default those of sharpmin plot.
    train_size
        Examples in the training set; by default the whole set of the network.
    precision
        Arithmetic of training.
    threads
        Processor threads; by default OMP_NUM_THREADS, else all that this process may use.
    seconds
        About how long to measure.
    json
        Write every number there too.
    """
    from sharpmin import runtime, zoo
    from sharpmin.disk import check_writable, write
    from sharpmin.paper.configurations import DATA_SETS
    from sharpmin.paper.recipes import large_batch, recipe
    from sharpmin.planning import forecast
    from sharpmin.runs import check_output

    chosen = recipe(network)
    passes = chosen.epochs if epochs is None else epochs
    if passes < 1:
        raise UsageError(f"--epochs {passes}: give at least 1")
    if seconds <= 0:
        raise UsageError(f"--seconds {seconds:g}: give more than 0")
    if json is not None:
        check_output(json)
        check_writable(json.parent)
    tuned = runtime.tune(threads=threads)
    examples = DATA_SETS[chosen.data].train if train_size is None else train_size
    like = zoo.default_interface(network)
    found = forecast(
        zoo.build(network, seed=0),
        like.shape,
        like.classes,
        batch_size=large_batch(examples) if batch_size is None else batch_size,
        examples=examples,
        memory=None if memory is None else memory * GIB,
        precision=precision,
        seconds=seconds,
    )
    print("\n".join([*memory_lines(network, found), "", *time_lines(found, epochs=passes, threads=tuned.threads)]))
    if json is not None:
        machine = runtime.tuned_environment(tuned, device=runtime.resolve_device("cpu"))
        numbers = {"network": network, **asdict(found), "peak": found.peak, "epochs": passes, "environment": machine}
        write(json, (encoding.dumps(numbers, indent=1) + "\n").encode())
    if not found.fits:
        raise SharpminError(refusal(found))


def memory_lines(network: str, found: "Forecast") -> list[str]:
    """Memory at the height of a step, part by part."""
    parts = {
        "this program and PyTorch": found.process,
        f"training set, {found.examples:,} examples": found.data,
        "weights, gradient, Adam's moments, workspaces": found.weights,
        "the batch": found.batch,
        "activations kept for the backward pass": found.activations,
        "one block's activations and gradients": found.in_flight,
    }
    allowed = "" if found.allowed is None else f" of {found.allowed / GIB:.2f} allowed"
    lines = [f"{network} at batch {found.batch_size:,} in {found.precision}: memory in GiB, estimated"]
    lines += [f"  {size / GIB:6.2f}  {name}" for name, size in parts.items()]
    lines += [f"  {found.peak / GIB:6.2f}  peak{allowed}"]
    for how, meaning in MEANING.items():
        if number := found.keep.count(how):
            lines.append(f"{number} of {len(found.keep)} stages {meaning}")
    if set(found.keep) != {"all"}:
        lines.append("BatchNorm sees the whole batch all the same, and the numbers are the same")
    return lines


def time_lines(found: "Forecast", *, epochs: int, threads: int) -> list[str]:
    """Time, and how it was found."""
    from sharpmin.history import epochs_in_words
    from sharpmin.machine import others_in_words
    from sharpmin.runtime import available_processors

    few, more = found.timed.sizes
    lines = [
        f"time on {threads} threads, predicted",
        f"  step   {spread(found.step)}",
        f"  epoch  {spread(found.epoch)}, {found.steps} steps",
        f"  all    {spread(found.epoch.times(epochs))}, {epochs_in_words(epochs)}, without the tests after each",
        f"from steps of {few} and {more} examples in turn, n = {found.step.n}, and a line through both; "
        "in brackets the rounds' range",
    ]
    others = others_in_words(found.usage, processors=available_processors())
    return [*lines, others] if others else lines


def spread(seconds: "Summary") -> str:
    """Median and range."""
    return f"{duration(seconds.median)} ({duration(seconds.minimum)} to {duration(seconds.maximum)})"


def duration(seconds: float) -> str:
    """Say 75 seconds as 1:15, and few with a decimal.

    Example:
        >>> duration(3.14), duration(4000)
        ('3.1 s', '1:06:40')

    """
    from sharpmin.console import clock

    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def refusal(found: "Forecast") -> str:
    """Why it does not fit, and what would."""
    smaller = f"--batch-size {found.largest} would" if found.largest else "no batch would: allow more memory"
    return (
        f"does not fit: about {found.peak / GIB:.1f} GiB are needed; --memory {-(-found.peak // GIB):.0f} would do, "
        f"if this machine has it; {smaller}"
    )
