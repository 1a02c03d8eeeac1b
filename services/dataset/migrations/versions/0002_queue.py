"""The queue of files to be read in: pgqueuer's own tables, in this service's schema."""

from servicekit.migrate import execute_script
from servicekit.queue import install_script, uninstall_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

# As in services/dataset/work_queue.py, which may change where this may not.
CHANNEL = "dataset_queue"


def upgrade() -> None:
    execute_script(install_script(CHANNEL))


def downgrade() -> None:
    execute_script(uninstall_script(CHANNEL))
