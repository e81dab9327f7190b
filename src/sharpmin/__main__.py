"""`sharpmin` and `python -m sharpmin`; imports nothing by itself, so that Ctrl-C is one line from the beginning."""

import sys


def main() -> None:
    """Run the command line and exit."""
    try:
        from sharpmin.cli import main as run
    except KeyboardInterrupt:
        print("sharpmin: interrupted before it began", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
