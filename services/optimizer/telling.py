"""What the optimizer tells the platform's log, each in the transaction of its change."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import outbox
from servicekit.event_kinds import EventKind
from servicekit.events import happened, version_id
from services.optimizer import repository
from services.optimizer.models import Study
from services.optimizer.search.metrics import Direction, direction
from services.optimizer.states import StudyState

_KINDS: Mapping[StudyState, EventKind] = {
    StudyState.SUCCEEDED: EventKind.STUDY_SUCCEEDED,
    StudyState.STOPPED: EventKind.STUDY_STOPPED,
    StudyState.FAILED: EventKind.STUDY_FAILED,
}


async def study_created(session: AsyncSession, study: Study) -> None:
    """A search was asked for, by a user or by a job."""
    facts = {
        **_settings(study),
        "search_space": study.search_space,
        "settings": study.parameters,
        "seed": study.seed,
        "n_trials": study.n_trials,
        "parallel_trials": study.parallel_trials,
    }
    await _tell(session, EventKind.STUDY_CREATED, study, facts)


async def study_moved(session: AsyncSession, study: Study) -> None:
    """A search has come to another state; told where it has ended."""
    kind = _KINDS.get(study.state)
    if kind is None:
        return
    began, ended = study.started_at, study.ended_at
    facts = {
        **_settings(study),
        "n_trials": study.n_trials,
        "trials": study.trials_ended,
        "trials_pruned": study.trials_pruned,
        "end_reason": study.end_reason,
        "reason": study.error_reason,
        "seconds_total": round((ended - began).total_seconds(), 3) if began and ended else None,
        **await _gain(session, study),
    }
    await _tell(session, kind, study, facts)


async def _gain(session: AsyncSession, study: Study) -> dict[str, float | None]:
    """The best score, the first trial's that has one, and by how much the best is better than that, never below 0."""
    trials = await repository.trials_of(session, study.id)
    scores = [trial.score for trial in sorted(trials, key=lambda trial: trial.number) if trial.score is not None]
    best, first = study.best_score, next(iter(scores), None)
    if best is None or first is None:
        return {"best_score": best, "first_score": first}
    gain = best - first if direction(study.metric) is Direction.MAXIMIZE else first - best
    return {"best_score": best, "first_score": first, "gain": max(gain, 0.0)}


def _settings(study: Study) -> dict[str, Any]:
    return {
        "model_type": study.model_type,
        "engine": study.engine,
        "method": study.method,
        "metric": study.metric,
        "dataset_version": study.dataset_version,
    }


async def _tell(session: AsyncSession, kind: EventKind, study: Study, attributes: Mapping[str, Any]) -> None:
    event = happened(
        kind,
        "study",
        study.id,
        owner_id=study.owner_id,
        related={
            "dataset_id": study.dataset_id,
            "dataset_version_id": version_id(study.dataset_id, study.dataset_version),
            "job_id": study.job_id,
        },
        attributes=attributes,
        personal={"name": study.name, "message": study.error_message},
    )
    await outbox.add(session, event)
