"""The outbox: events on their way to the platform's log."""

from servicekit.migrate import execute_script
from servicekit.outbox import install_script, uninstall_script

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    execute_script(install_script())


def downgrade() -> None:
    execute_script(uninstall_script())
