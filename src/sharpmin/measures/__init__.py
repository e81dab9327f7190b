"""Questions asked of f at one point."""

from sharpmin.measures.average_case import AverageCase, gaussian_sharpness
from sharpmin.measures.sharpness import Sharpness, sharpness
from sharpmin.measures.worst_case import WorstCase, adaptive_sharpness, l2_sharpness, linf_sharpness

__all__ = [
    "AverageCase",
    "Sharpness",
    "WorstCase",
    "adaptive_sharpness",
    "gaussian_sharpness",
    "l2_sharpness",
    "linf_sharpness",
    "sharpness",
]
