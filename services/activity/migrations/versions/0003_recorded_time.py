"""Records found by when they came, so that a range of time is a range of numbers."""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_index("ix_records_recorded_time_seq", "records", ["recorded_time", "seq"])


def downgrade() -> None:
    op.drop_index("ix_records_recorded_time_seq", "records")
