"""Alembic's entry: runs the generation service's migrations."""

from servicekit import outbox, queue
from servicekit.migrate import run_migrations
from services.generation.models import Base

run_migrations(Base.metadata, outbox.TABLES | queue.TABLES)
