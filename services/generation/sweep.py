"""`python -m services.generation.sweep [--dry-run]`: looks for objects without rows and rows without objects.

A running service does the same from time to time. Needs the service's DATABASE_URL and S3 settings.
"""

from servicekit.sweep_command import run
from services.generation.repository import LOOSE_OBJECTS
from services.generation.storage import NAMED

if __name__ == "__main__":
    run("generation", LOOSE_OBJECTS, NAMED)
