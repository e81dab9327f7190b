"""Where a checkpoint is, as typed: a file or folder, and after a colon which of its parts."""

from pathlib import Path


def parse_place(text: str) -> tuple[Path, str | None]:
    """Split `file.pt:key` into the path and the key; the key is None where there is none.

    A name that exists as it stands is a path, colons and drive letters included. Otherwise the key is what
    follows the last colon before which something exists; it contains no slash of either kind.

    Args:
        text: as typed, such as `last.ckpt`, `last.ckpt:ema` or `C:\\runs\\last.ckpt:ema`.

    Returns:
        The path, and the key for `fit` or `load_into`. A path of which nothing exists comes back whole.

    Example:
        >>> parse_place("nowhere.pt")[1] is None
        True

    """
    cuts = [i for i, letter in enumerate(text) if i and letter == ":" and not {"/", "\\"} & set(text[i:])]
    for cut in [len(text), *reversed(cuts)]:
        path = Path(text[:cut]).expanduser()
        if _exists(path):
            return path, text[cut + 1 :] if cut < len(text) else None
    return Path(text).expanduser(), None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long to be one
        return False
