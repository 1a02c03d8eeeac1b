"""What happens to a study, as rows that are announced in the transaction that writes them."""

from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.timestamps import utc_now
from services.optimizer import snapshots
from services.optimizer.models import Study, StudyEvent, Trial
from services.optimizer.states import STUDY_ENDED

CHANNEL = "optimizer_study_events"
"""Announcements carry a study's id."""


class EventKind(StrEnum):
    """What kind of thing happened; the names are those of the contract."""

    STATE = "state"
    TRIAL_STARTED = "trial_started"
    EPOCH = "epoch"
    TRIAL_ENDED = "trial_ended"
    BEST = "best"
    IMPORTANCE = "importance"
    NOTICE = "notice"


async def record(
    session: AsyncSession, study: Study, kind: EventKind, message: str = "", trial: Trial | None = None
) -> None:
    """Writes how the study, and the trial that it is about, stand now as the next event; announces it at the commit.

    The caller holds the study's row lock (or has just made the row), so that numbers have no gaps.
    """
    study.last_seq += 1
    study.updated_at = utc_now()
    session.add(
        StudyEvent(
            study_id=study.id,
            seq=study.last_seq,
            kind=kind,
            message=message,
            last=kind is EventKind.STATE and study.state in STUDY_ENDED,
            state=study.state,
            trials_ended=study.trials_ended,
            n_trials=study.n_trials,
            trial=None if trial is None else snapshots.taken_of(trial),
            best_number=study.best_number,
            best_score=study.best_score,
            importances=dict(study.importances) if kind is EventKind.IMPORTANCE else {},
            error_code=study.error_code,
            error_reason=study.error_reason,
            error_message=study.error_message,
            created_at=study.updated_at,
        )
    )
    await session.flush()
    await announce(session, study)


async def announce(session: AsyncSession, study: Study) -> None:
    """Wakes those who follow the study, when the transaction commits."""
    await session.execute(select(func.pg_notify(CHANNEL, str(study.id))))
