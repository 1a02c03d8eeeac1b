"""Alembic's entry: runs the generation service's migrations."""

from servicekit import queue
from servicekit.migrate import run_migrations
from services.generation.models import Base

run_migrations(Base.metadata, queue.TABLES)
