"""`python -m services.activity`: settings, then serve."""

import sys

from servicekit.server import run
from servicekit.settings import ConfigurationError, load
from services.activity.server import application
from services.activity.settings import Settings


def main() -> None:
    """Serves until SIGTERM; a file that can't be used ends the process with status 2."""
    settings = load(Settings)
    try:
        run("activity", settings, application(settings))
    except ConfigurationError as error:
        print(f"Mirage can't start: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
