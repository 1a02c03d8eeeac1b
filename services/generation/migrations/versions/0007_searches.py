"""Where a job whose parameters are searched for is in the queue."""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("search_queue_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "search_queue_id")
