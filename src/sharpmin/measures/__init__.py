"""Questions asked of f at one point."""

from sharpmin.measures.sharpness import Sharpness, sharpness

__all__ = ["Sharpness", "sharpness"]
