"""What is judged of a model while it is fitted, and what came of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("scoring", postgresql.JSONB(), nullable=True))
    # The code before this one writes no scores.
    op.add_column(
        "job_events", sa.Column("scores", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("job_events", "scores")
    op.drop_column("jobs", "scoring")
