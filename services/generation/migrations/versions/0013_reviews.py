"""What administrators have said to jobs, and how many rows of a model they have approved."""

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("approved", sa.Boolean(), nullable=True))
    op.add_column("jobs", sa.Column("review_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("models", sa.Column("approved_rows", sa.Integer(), nullable=True))
    op.create_index(
        "ix_jobs_awaiting_approval", "jobs", ["id"], postgresql_where=sa.text("state = 'awaiting_approval'")
    )
    # A job that has waited for approval and went on was approved.
    op.execute("""
        UPDATE jobs
        SET approved = (state <> 'rejected'), reviewed_at = review.created_at, review_reason = review.message
        FROM (
            SELECT DISTINCT ON (after.job_id) after.job_id, after.created_at, after.message
            FROM job_events AS waited
            JOIN job_events AS after ON after.job_id = waited.job_id AND after.seq = waited.seq + 1
            WHERE waited.state = 'awaiting_approval' AND after.state IN ('queued', 'rejected')
            ORDER BY after.job_id, after.seq
        ) AS review
        WHERE review.job_id = jobs.id
    """)
    op.execute("""
        UPDATE models SET approved_rows = jobs.sample_size FROM jobs
        WHERE jobs.id = models.job_id AND jobs.approved
    """)


def downgrade() -> None:
    op.drop_index("ix_jobs_awaiting_approval", "jobs")
    op.drop_column("models", "approved_rows")
    op.drop_column("jobs", "reviewed_at")
    op.drop_column("jobs", "review_reason")
    op.drop_column("jobs", "approved")
