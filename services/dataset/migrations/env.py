"""Alembic's entry: runs the dataset service's migrations."""

from servicekit.migrate import run_migrations
from servicekit.queue import TABLES
from services.dataset.models import Base

run_migrations(Base.metadata, TABLES)
