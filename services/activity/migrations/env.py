"""Alembic's entry: runs the activity service's migrations."""

from servicekit.migrate import run_migrations
from services.activity import rollups  # noqa: F401 - its tables are the service's too
from services.activity.models import Base

run_migrations(Base.metadata)
