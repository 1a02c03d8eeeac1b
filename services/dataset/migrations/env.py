"""Alembic's entry: runs the dataset service's migrations."""

from servicekit import outbox, queue
from servicekit.migrate import run_migrations
from services.dataset.models import Base

run_migrations(Base.metadata, outbox.TABLES | queue.TABLES)
