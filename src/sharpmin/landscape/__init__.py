"""f along something: a line, an arc."""

from sharpmin.landscape.paths import Path, interpolate, path

__all__ = ["Path", "interpolate", "path"]
