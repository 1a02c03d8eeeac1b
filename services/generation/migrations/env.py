"""Alembic's entry: runs the generation service's migrations."""

from servicekit.migrate import run_migrations
from services.generation.models import Base

run_migrations(Base.metadata, {"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"})
