"""`python -m services.optimizer`: settings, then serve."""

from servicekit.server import run
from servicekit.settings import load
from services.optimizer.server import application
from services.optimizer.settings import Settings


def main() -> None:
    """Serves until SIGTERM."""
    settings = load(Settings)
    run("optimizer", settings, application(settings))


if __name__ == "__main__":
    main()
