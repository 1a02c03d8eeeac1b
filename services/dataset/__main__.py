"""`python -m services.dataset`: settings, then serve."""

from servicekit.server import run
from servicekit.settings import load
from services.dataset.server import application
from services.dataset.settings import Settings


def main() -> None:
    """Serves until SIGTERM."""
    settings = load(Settings)
    run("dataset", settings, application(settings))


if __name__ == "__main__":
    main()
