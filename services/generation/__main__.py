"""`python -m services.generation`: settings, then serve."""

from servicekit.server import run
from servicekit.settings import load
from services.generation.server import application
from services.generation.settings import Settings


def main() -> None:
    """Serves until SIGTERM."""
    settings = load(Settings)
    run("generation", settings, application(settings))


if __name__ == "__main__":
    main()
