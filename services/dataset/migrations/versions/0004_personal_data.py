"""What personal data a version holds, what the owner said of it, and what was confirmed before publishing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    # Null: read before there was a scan.
    op.add_column("dataset_versions", sa.Column("personal_data", postgresql.JSONB(), nullable=True))
    op.add_column(
        "datasets",
        sa.Column("personal_data_by_hand", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("datasets", sa.Column("personal_data_confirmed", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("datasets", "personal_data_confirmed")
    op.drop_column("datasets", "personal_data_by_hand")
    op.drop_column("dataset_versions", "personal_data")
