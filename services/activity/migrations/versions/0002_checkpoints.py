"""Checkpoints: what the platform has signed of the log; and records found by the objects that they relate to."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoints")),
    )
    op.create_index(
        "ix_records_related",
        "records",
        ["related"],
        postgresql_using="gin",
        postgresql_ops={"related": "jsonb_path_ops"},
    )


def downgrade() -> None:
    op.drop_index("ix_records_related", "records")
    op.drop_table("checkpoints")
