"""The request that asked for a piece of work, for the log lines of whoever does it."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.add_column("dataset_versions", sa.Column("request_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("dataset_versions", "request_id")
