"""The entry point of `mirage`."""

import sys


def main() -> None:
    """Runs the command that the shell gave."""
    try:
        from mirage.cli.app import run
    except ModuleNotFoundError as missing:
        sys.exit(f"The command line needs {missing.name}. Install it: pip install 'mirage-platform[client]'")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
