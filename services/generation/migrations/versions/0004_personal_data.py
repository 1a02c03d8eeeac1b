"""Which columns of jobs and models are invented, and the key that keeps the source's values from being invented."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    # A default that the database knows lets code that doesn't know the column go on adding rows.
    for table in ("jobs", "models"):
        op.add_column(table, sa.Column("personal_data", postgresql.JSONB(), server_default="[]", nullable=False))
    op.add_column("models", sa.Column("protection_key", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("models", "protection_key")
    for table in ("models", "jobs"):
        op.drop_column(table, "personal_data")
