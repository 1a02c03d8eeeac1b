"""Jobs that haven't ended are counted by where they stand, out of ever more that have."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_open", "jobs", ["state", "model_type", "purpose"], postgresql_where=sa.text("ended_at IS NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_open", "jobs")
