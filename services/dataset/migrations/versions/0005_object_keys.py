"""Which objects rows name, found by the objects' keys: for the sweeper."""

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_index("ix_dataset_versions_source_key", "dataset_versions", ["source_key"])
    op.create_index("ix_dataset_versions_table_key", "dataset_versions", ["table_key"])


def downgrade() -> None:
    op.drop_index("ix_dataset_versions_table_key", "dataset_versions")
    op.drop_index("ix_dataset_versions_source_key", "dataset_versions")
