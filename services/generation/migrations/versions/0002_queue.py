"""The queue that workers take jobs from: pgqueuer's own tables, in this service's schema."""

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.domain.settings import DBSettings

from servicekit.migrate import execute_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None

# As in services/generation/dispatch.py, which may change where this may not.
CHANNEL = "generation_queue"


def upgrade() -> None:
    execute_script(QueryBuilderEnvironment(DBSettings(channel=CHANNEL)).build_install_query(create_schema=False))


def downgrade() -> None:
    execute_script(QueryBuilderEnvironment(DBSettings(channel=CHANNEL)).build_uninstall_query())
