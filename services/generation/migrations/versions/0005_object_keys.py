"""Which objects rows name, found by the objects' keys: for the sweeper."""

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_index("ix_jobs_table_key", "jobs", ["table_key"])
    op.create_index("ix_models_object_key", "models", ["object_key"])


def downgrade() -> None:
    op.drop_index("ix_models_object_key", "models")
    op.drop_index("ix_jobs_table_key", "jobs")
