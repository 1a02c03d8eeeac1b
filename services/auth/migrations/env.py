"""Alembic's entry: runs the auth service's migrations."""

from servicekit import outbox
from servicekit.migrate import run_migrations
from services.auth.models import Base

run_migrations(Base.metadata, outbox.TABLES)
