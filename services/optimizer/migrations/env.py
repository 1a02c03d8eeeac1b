"""Alembic's entry: runs the optimizer service's migrations."""

from servicekit import outbox, queue
from servicekit.migrate import run_migrations
from services.optimizer.models import Base

run_migrations(Base.metadata, outbox.TABLES | queue.TABLES)
