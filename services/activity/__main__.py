"""`python -m services.activity`: settings, then serve."""

from servicekit.server import run
from servicekit.settings import load
from services.activity.server import application
from services.activity.settings import Settings


def main() -> None:
    """Serves until SIGTERM."""
    settings = load(Settings)
    run("activity", settings, application(settings))


if __name__ == "__main__":
    main()
