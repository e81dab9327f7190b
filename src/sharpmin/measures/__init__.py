"""Questions asked of f at one point."""

from sharpmin.measures.average_case import AverageCase, gaussian_sharpness
from sharpmin.measures.density import Density, density
from sharpmin.measures.noise_scale import NoiseScale, noise_scale
from sharpmin.measures.sharpness import Sharpness, sharpness
from sharpmin.measures.spectrum import Spectrum, spectrum
from sharpmin.measures.trace import Trace, trace
from sharpmin.measures.worst_case import WorstCase, adaptive_sharpness, l2_sharpness, linf_sharpness

__all__ = [
    "AverageCase",
    "Density",
    "NoiseScale",
    "Sharpness",
    "Spectrum",
    "Trace",
    "WorstCase",
    "adaptive_sharpness",
    "density",
    "gaussian_sharpness",
    "l2_sharpness",
    "linf_sharpness",
    "noise_scale",
    "sharpness",
    "spectrum",
    "trace",
]
