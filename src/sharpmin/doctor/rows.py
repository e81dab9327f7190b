"""A row for everything that can make this machine faster or slower: what is here, what it is worth, what to do."""

from dataclasses import dataclass

from sharpmin import runtime
from sharpmin.doctor import facts
from sharpmin.doctor.contest import Contest, Contestant, contest
from sharpmin.doctor.worker import NETWORK, Turn
from sharpmin.machine import Usage, Watch, others_in_words
from sharpmin.progress import Progress, silent
from sharpmin.timing import Summary

OURS = "sharpmin"
FEWEST = 3  # rounds below which nothing is concluded
ALIKE = 1.1  # largest ratio of two times that are called equal


@dataclass(frozen=True)
class Row:
    """One line of the checkup.

    Attributes:
        name: what was looked at.
        found: what is here.
        speedup: how many times as fast with it as without, where that was measured.
        advice: a sentence.

    """

    name: str
    found: str
    speedup: Summary | None
    advice: str


@dataclass(frozen=True)
class Checkup:
    """All rows, with what they rest on."""

    rows: tuple[Row, ...]
    contest: Contest
    usage: Usage
    processors: int

    @property
    def caution(self) -> str:
        """What the reader should know about the machine's other work; empty where there was none to speak of."""
        return others_in_words(self.usage, processors=self.processors)


def checkup(*, rounds: int = 5, seconds: float = 40.0, progress: Progress = silent) -> Checkup:
    """Look at this machine, and measure what settings are worth in training C1.

    Args:
        rounds: turns of every setting.
        seconds: after which no further round begins.
        progress: told the rounds done.

    """
    watch, processors = Watch(), runtime.available_processors()
    found = contest(settings(processors), rounds=rounds, seconds=seconds, progress=progress)
    usage = watch.usage()
    measured = threads(found, processors), allocator(found), memory_format(found), bfloat16(found)
    return Checkup((*measured, memory(), build(), data(), devices()), found, usage, processors)


def settings(processors: int) -> dict[str, Contestant]:
    """Sharpmin's own settings first, then each with one of them changed, where it can be."""
    ours = Turn(processors)
    found = {
        OURS: Contestant(ours),
        "channels first": Contestant(Turn(processors, channels_last=False)),
        "bfloat16": Contestant(Turn(processors, precision="bfloat16")),
    }
    if processors > 1:
        found["half the threads"] = Contestant(Turn(processors // 2))
    if runtime.has_glibc():
        found["default allocator"] = Contestant(ours, allocator="default")
    return found


def threads(found: Contest, processors: int) -> Row:
    """All threads against half of them."""
    here = f"{processors} processors for this process"
    if processors == 1:
        return Row("threads", "1 processor for this process", None, "nothing to choose")
    speedup = found.speedup(OURS, over="half the threads")
    return Row(
        "threads",
        here,
        speedup,
        advice(
            speedup,
            found,
            faster=f"use all {processors} threads, as sharpmin does by itself",
            slower=f"give --threads {processors // 2}: all {processors} are slower",
        ),
    )


def allocator(found: Contest) -> Row:
    """Freed memory kept against given back."""
    if not runtime.has_glibc():
        return Row("allocator", "not glibc", None, "left alone")
    speedup = found.speedup(OURS, over="default allocator")
    return Row(
        "allocator",
        "glibc",
        speedup,
        advice(
            speedup,
            found,
            faster="keep freed memory: the command line does, in your own program call sharpmin.runtime.tune()",
            slower="do without sharpmin.runtime.tune() in your own program",
        ),
    )


def memory_format(found: Contest) -> Row:
    """Channels last against channels first."""
    speedup = found.speedup(OURS, over="channels first")
    return Row(
        "memory format",
        "channels last",
        speedup,
        advice(
            speedup,
            found,
            faster="lay images and convolutions out channels last: sharpmin does it for its own networks, you with "
            "model.to(memory_format=torch.channels_last)",
            slower="leave your own convolutional networks channels first",
        ),
    )


def bfloat16(found: Contest) -> Row:
    """Bfloat16 against float32."""
    speedup = found.speedup("bfloat16", over=OURS)
    return Row(
        "bfloat16",
        facts.instructions() or "no instructions for it",
        speedup,
        advice(speedup, found, faster="train with --precision bfloat16", slower="stay with float32"),
    )


def memory() -> Row:
    """What is free, and which batches that holds."""
    free, largest = runtime.available_memory(), facts.largest_batches()
    if free is None:
        return Row("memory", "unknown here", None, "give sharpmin plan --memory what a training may take")
    holds = ", ".join(f"{name} at up to {size:,}" for name, size in largest.items())
    said = f"a step of {holds} examples fits; sharpmin plan NETWORK --batch-size N says what it takes"
    return Row("memory", f"{free / 2**30:.1f} GiB free", None, said)


def build() -> Row:
    """PyTorch's build."""
    missing = facts.missing_libraries()
    said = f"install a build of PyTorch with {', '.join(missing)}" if missing else "nothing is missing"
    return Row("PyTorch", facts.build(), None, said)


def data() -> Row:
    """The data sets in the cache."""
    here, missing = facts.data_sets()
    said = f"fetch with sharpmin data fetch {' | '.join(missing)}" if missing else "all are here; nothing is downloaded"
    return Row("data", f"{', '.join(here) or 'nothing'} in {facts.data_place()}", None, said)


def devices() -> Row:
    """GPUs."""
    names = facts.devices()
    if names:
        return Row("GPU", ", ".join(names), None, "give --device cuda; its speed was not measured here")
    built = (
        "this build of PyTorch has CUDA but sees no device" if facts.has_cuda() else "this build of PyTorch has no CUDA"
    )
    return Row("GPU", "none", None, built)


def advice(speedup: Summary, found: Contest, *, faster: str, slower: str) -> str:
    """What to do, and what it was worth; only the latter where that cannot be told."""
    where = f"in training {NETWORK} at batch {found.examples}"
    verdict = {"faster": f"{faster}: ", "slower": f"{slower}: "}.get(judged(speedup), "")
    return f"{verdict}{told(speedup)} {where}"


def judged(speedup: Summary) -> str:
    """Say "faster" or "slower" where every round says so, "equal", or "unknown"."""
    if speedup.n < FEWEST:
        return "unknown"
    if max(speedup.maximum, 1 / speedup.minimum) < ALIKE:
        return "equal"
    return "faster" if speedup.minimum > 1 else "slower" if speedup.maximum < 1 else "unknown"


def told(speedup: Summary) -> str:
    """What the ratio says, or that it says nothing.

    Example:
        >>> told(Summary(1.8, 1.6, 2.0, 5))
        '1.80x as fast (1.60 to 2.00, n = 5)'
        >>> told(Summary(1.8, 0.6, 2.0, 5))
        'cannot tell, the spread is too large: 1.80x as fast (0.60 to 2.00, n = 5)'

    """
    numbers = f"{speedup.median:.2f}x as fast ({speedup.minimum:.2f} to {speedup.maximum:.2f}, n = {speedup.n})"
    if speedup.n < FEWEST:
        return f"cannot tell from so few rounds: {numbers}"
    doubt = {"equal": "no difference: ", "unknown": "cannot tell, the spread is too large: "}
    return doubt.get(judged(speedup), "") + numbers
