"""`python -m sharpmin`."""

from sharpmin.cli import main

if __name__ == "__main__":
    main()
