"""Ends of accounts, until nothing of them is left in any service."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: None = None
depends_on: None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "account_deletions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("requested_by", sa.String(20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_deletions")),
        sa.UniqueConstraint("user_id", name=op.f("uq_account_deletions_user_id")),
    )
    op.create_index(op.f("ix_account_deletions_ended_at"), "account_deletions", ["ended_at"])
    op.create_table(
        "account_deletion_steps",
        sa.Column("deletion_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deletion_id"],
            ["account_deletions.id"],
            name=op.f("fk_account_deletion_steps_deletion_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deletion_id", "service", name=op.f("pk_account_deletion_steps")),
    )
    op.create_index(
        "ix_account_deletion_steps_due",
        "account_deletion_steps",
        ["next_try_at"],
        postgresql_where=sa.text("state <> 'done'"),
    )


def downgrade() -> None:
    op.drop_table("account_deletion_steps")
    op.drop_table("account_deletions")
