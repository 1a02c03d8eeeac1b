"""The queue of studies to be driven."""

from servicekit.migrate import execute_script
from servicekit.queue import install_script, uninstall_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

CHANNEL = "optimizer_queue"


def upgrade() -> None:
    execute_script(install_script(CHANNEL))


def downgrade() -> None:
    execute_script(uninstall_script(CHANNEL))
