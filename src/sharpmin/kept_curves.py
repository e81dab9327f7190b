"""The curve that `sharpmin connect` trains, kept in the run folder, and how its training goes on after a kill.

It is curve-HASH.safetensors, and while in training curve-HASH.checkpoint.safetensors.
"""

import hashlib
import json
from dataclasses import asdict

from torch import Tensor

from sharpmin.disk import readable
from sharpmin.landscape import CurveConfig, CurveState, train_curve
from sharpmin.objective import Objective
from sharpmin.progress import Progress
from sharpmin.runs import Run
from sharpmin.subjects import Subject

MOMENT = "moment:"


def trained(
    subject: Subject, a: Tensor, b: Tensor, config: CurveConfig, *, progress: Progress
) -> tuple[str, CurveState]:
    """The trained curve, and its name in the run folder: read, or trained on from its last checkpoint."""
    objective, run = subject.objective(subject.data), subject.run
    name = "curve-" + identity(objective, a, b, config)
    state = known(run, name) or known(run, f"{name}.checkpoint")
    state = train_curve(
        objective,
        a,
        b,
        config,
        state=state,
        after_epoch=lambda state: keep(run, f"{name}.checkpoint", state, config),
        progress=progress,
    )
    keep(run, name, state, config)
    run.drop(f"{name}.checkpoint")
    return name, state


def identity(objective: Objective, a: Tensor, b: Tensor, config: CurveConfig) -> str:
    """A hash of all that the curve depends on; the data by the losses at its ends."""
    evaluation = [objective.batch_norm, objective.precision, objective.device.type, objective.layout.names]
    losses = [f"{objective.value(end):.6g}" for end in (a, b)]
    digest = hashlib.sha256(json.dumps([asdict(config), evaluation, losses]).encode())
    for end in (a, b):
        digest.update(end.cpu().numpy().tobytes())
    return digest.hexdigest()[:10]


def keep(run: Run, name: str, state: CurveState, config: CurveConfig) -> None:
    """Write the state of a training."""
    tensors = {"bends": state.bends, **{MOMENT + key: value for key, value in state.moments.items()}}
    kept = {"config": asdict(config), "losses": state.losses, "seconds": state.seconds}
    run.save(name, tensors, metadata={"training": json.dumps(kept)})


def known(run: Run, name: str) -> CurveState | None:
    """Read the state of a training, where there is one."""
    file = run.folder / f"{name}.safetensors"
    if not file.exists():
        return None
    tensors, metadata = run.load(name)
    with readable(file):
        kept = json.loads(metadata["training"])
        moments = {key.removeprefix(MOMENT): value for key, value in tensors.items() if key.startswith(MOMENT)}
        return CurveState(tensors["bends"], moments, tuple(kept["losses"]), kept["seconds"])
