"""`python -m services.auth`: settings, then serve."""

import sys

from servicekit.server import run
from servicekit.settings import ConfigurationError, load
from services.auth.server import application
from services.auth.settings import Settings


def main() -> None:
    """Serves until SIGTERM; a file that can't be used ends the process with status 2."""
    settings = load(Settings)
    try:
        run("auth", settings, application(settings))
    except ConfigurationError as error:
        print(f"Mirage can't start: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
