"""`python -m mirage_engine`: the command line."""

import sys


def main() -> None:
    """Runs the command that the shell gave."""
    from mirage_engine.command_line import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
