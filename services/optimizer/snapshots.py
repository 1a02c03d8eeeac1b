"""How a trial stood at a moment, as an event keeps it: the columns of its row as JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.optimizer.models import Document, Trial
from services.optimizer.states import TrialState

# What nobody sees of a trial.
_HIDDEN = frozenset({"suggestion", "reports"})
_TIMES = ("created_at", "started_at", "ended_at")


def taken_of(trial: Trial) -> Document:
    """The columns of a trial that are shown; what is empty is left out."""
    columns = {name: getattr(trial, name) for name in Trial.__table__.columns.keys() if name not in _HIDDEN}  # noqa: SIM118 - a collection of columns, not a dictionary
    return {name: _plain(value) for name, value in columns.items() if value not in (None, {}, [], "")}


def restored(snapshot: Document) -> Trial:
    """The trial as it stood: no row of a session."""
    values: dict[str, Any] = dict(snapshot)
    values["study_id"] = UUID(values["study_id"])
    values["state"] = TrialState(values["state"])
    if "model_id" in values:
        values["model_id"] = UUID(values["model_id"])
    values |= {name: datetime.fromisoformat(values[name]) for name in _TIMES if name in values}
    empty: dict[str, Any] = {
        **{name: {} for name in ("parameters", "losses", "objectives", "metrics")},
        **{name: [] for name in ("adjustments", "broken_caps")},
        **dict.fromkeys(("epoch", "epochs", "attempts"), 0),
    }
    return Trial(**{**empty, **values})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | TrialState) else value
