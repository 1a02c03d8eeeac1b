"""Notifications: what people are told, how, and in which browsers; and the queue of what is to be delivered."""

import sqlalchemy as sa
from alembic import op

from servicekit.migrate import execute_script
from servicekit.queue import install_script, uninstall_script

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: None = None
depends_on: None = None

CHANNEL = "activity_queue"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index("ix_notifications_owner_id_seq", "notifications", ["owner_id", "seq"], unique=True)
    op.create_index(
        "ix_notifications_unread", "notifications", ["owner_id"], postgresql_where=sa.text("read_at IS NULL")
    )
    op.create_table(
        "notification_preferences",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("push", sa.Boolean(), nullable=False),
        sa.Column("email", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "kind", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "push_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("p256dh", sa.Text(), nullable=False),
        sa.Column("auth", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscriptions")),
        sa.UniqueConstraint("endpoint", name=op.f("uq_push_subscriptions_endpoint")),
    )
    op.create_index("ix_push_subscriptions_owner_id", "push_subscriptions", ["owner_id"])
    op.create_table(
        "administrators",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_administrators")),
    )
    op.create_table(
        "views",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_views")),
    )
    op.execute("INSERT INTO views (name, seq) VALUES ('notifications', 0)")
    execute_script(install_script(CHANNEL))


def downgrade() -> None:
    execute_script(uninstall_script(CHANNEL))
    for table in ("views", "administrators", "push_subscriptions", "notification_preferences", "notifications"):
        op.drop_table(table)
