"""Trials of searches, how good tables are, and how searches stand."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    # What the database fills in lets code that doesn't know the columns go on adding rows.
    for table in ("jobs", "job_events"):
        op.add_column(table, sa.Column("quality_score", sa.Float(precision=53), nullable=True))
        op.add_column(table, sa.Column("search", postgresql.JSONB(), nullable=True))
    op.add_column("jobs", sa.Column("purpose", sa.String(20), server_default="job", nullable=False))
    op.add_column("jobs", sa.Column("study_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("trial_number", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("optimization", postgresql.JSONB(), nullable=True))
    op.add_column(
        "jobs", sa.Column("sensitive_columns", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column("jobs", sa.Column("quality_problem", sa.Text(), server_default="", nullable=False))
    op.create_index("uq_jobs_study_id_trial_number", "jobs", ["study_id", "trial_number"], unique=True)
    op.add_column("models", sa.Column("hidden", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "quality_reports",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_quality_reports_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_quality_reports")),
    )


def downgrade() -> None:
    # Code that doesn't know of trials would show them to their owners.
    op.execute("DELETE FROM jobs WHERE purpose = 'trial'")
    op.execute(
        "INSERT INTO loose_objects (key, due_at) SELECT object_key, now() FROM models WHERE hidden "
        "ON CONFLICT (key) DO UPDATE SET due_at = excluded.due_at"
    )
    op.execute("DELETE FROM models WHERE hidden")
    op.drop_table("quality_reports")
    op.drop_column("models", "hidden")
    op.drop_index("uq_jobs_study_id_trial_number", "jobs")
    for column in ("quality_problem", "sensitive_columns", "optimization", "trial_number", "study_id", "purpose"):
        op.drop_column("jobs", column)
    for table in ("job_events", "jobs"):
        for column in ("search", "quality_score"):
            op.drop_column(table, column)
