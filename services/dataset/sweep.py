"""`python -m services.dataset.sweep [--dry-run]`: looks for objects without rows and rows without objects.

A running service does the same from time to time. Needs the service's DATABASE_URL and S3 settings.
"""

from servicekit.sweep_command import run
from services.dataset.models import loose_objects
from services.dataset.storage import NAMED

if __name__ == "__main__":
    run("dataset", loose_objects, NAMED)
