"""Users whose accounts are gone."""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_table(
        "departures",
        sa.Column("user_hash", sa.LargeBinary(), nullable=False),
        sa.Column("departed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_hash", name=op.f("pk_departures")),
    )
    op.create_index(op.f("ix_departures_departed_at"), "departures", ["departed_at"])


def downgrade() -> None:
    op.drop_table("departures")
