"""f along something: a line, an arc, a curve, a plane."""

from sharpmin.landscape.barrier import Barrier, barrier
from sharpmin.landscape.connecting import connect, train_curve
from sharpmin.landscape.curves import Curve, CurveConfig, CurveState, evaluate_curve
from sharpmin.landscape.directions import random_directions
from sharpmin.landscape.frames import Frame, Mark, frame_through, mixing, random_frame
from sharpmin.landscape.grids import Grid, around, even, grown
from sharpmin.landscape.lines import Lines, grown_alphas, lines
from sharpmin.landscape.paths import Path, interpolate, path
from sharpmin.landscape.planes import plane, plane_through, random_plane, trajectory_plane
from sharpmin.landscape.surface import Plane, surface
from sharpmin.landscape.trajectory import trajectory_frame

__all__ = [
    "Barrier",
    "Curve",
    "CurveConfig",
    "CurveState",
    "Frame",
    "Grid",
    "Lines",
    "Mark",
    "Path",
    "Plane",
    "around",
    "barrier",
    "connect",
    "evaluate_curve",
    "even",
    "frame_through",
    "grown",
    "grown_alphas",
    "interpolate",
    "lines",
    "mixing",
    "path",
    "plane",
    "plane_through",
    "random_directions",
    "random_frame",
    "random_plane",
    "surface",
    "train_curve",
    "trajectory_frame",
    "trajectory_plane",
]
