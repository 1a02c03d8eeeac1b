"""Pure: rows to messages, messages to fields."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from mirage.optimizer.v1 import study_pb2
from servicekit.enums import EnumNames
from servicekit.failures import failure_to_proto
from servicekit.follow import encode_resume_token
from servicekit.structs import from_struct, to_struct
from servicekit.timestamps import to_timestamp, utc_now
from services.optimizer import snapshots
from services.optimizer.models import Document, Study, StudyEvent, Trial
from services.optimizer.planning import Plan
from services.optimizer.states import StudyState, TrialState

_STUDY_STATES = EnumNames(StudyState, study_pb2.StudyState, "STUDY_STATE_")
_TRIAL_STATES = EnumNames(TrialState, study_pb2.TrialState, "TRIAL_STATE_")

_STRUCTS: tuple[Literal["search_space", "caps", "model_config"], ...] = ("search_space", "caps", "model_config")
_OPTIONAL: tuple[
    Literal["n_trials", "random_state", "parallel_trials", "timeout_seconds", "patience", "holdout_fraction"], ...
] = ("n_trials", "random_state", "parallel_trials", "timeout_seconds", "patience", "holdout_fraction")
_TEXTS = (
    "dataset_id",
    "model_type",
    "engine",
    "optimization_method",
    "optimization_metric",
    "acquisition_function",
    "target_column",
    "name",
)


def request_fields(request: study_pb2.StartStudyRequest) -> dict[str, Any]:
    """A request field by field; what isn't set is left out."""
    fields: dict[str, Any] = {name: getattr(request, name) for name in _TEXTS if getattr(request, name)}
    fields |= {name: getattr(request, name) for name in _OPTIONAL if request.HasField(name)}
    fields |= {name: from_struct(getattr(request, name)) for name in _STRUCTS if request.HasField(name)}
    return fields | {
        "dataset_version": request.dataset_version,
        "objectives": tuple(request.objectives),
        "columns": tuple(request.columns),
    }


def study_state_from_proto(state: study_pb2.StudyState.ValueType) -> StudyState | None:
    """The state that a filter names; None for none.

    Raises:
        InvalidRequest: there is no such state.
    """
    return _STUDY_STATES.from_proto("state", state)


def trial_state_from_proto(state: study_pb2.TrialState.ValueType) -> TrialState | None:
    """The state that a filter names; None for none.

    Raises:
        InvalidRequest: there is no such state.
    """
    return _TRIAL_STATES.from_proto("state", state)


def study_to_proto(study: Study, best: Trial | None = None) -> study_pb2.Study:
    """A study, with its best trial."""
    return study_pb2.Study(
        study_id=str(study.id),
        owner_id=str(study.owner_id),
        name=study.name,
        dataset_id=str(study.dataset_id),
        dataset_version=study.dataset_version,
        state=_STUDY_STATES.to_proto(study.state),
        model_type=study.model_type,
        engine=study.engine,
        optimization_method=study.method,
        optimization_metric=study.metric,
        search_space=to_struct(study.search_space),
        acquisition_function=study.acquisition_function,
        random_state=study.seed,
        n_trials=study.n_trials,
        parallel_trials=study.parallel_trials,
        timeout_seconds=study.timeout_seconds,
        patience=study.patience,
        caps=to_struct(study.caps),
        objectives=study.objectives,
        target_column=study.target_column,
        model_config=to_struct(study.parameters),
        columns=study.columns,
        holdout_fraction=study.holdout_fraction,
        job_id=str(study.job_id or ""),
        trials_ended=study.trials_ended,
        trials_pruned=study.trials_pruned,
        best_trial=None if best is None else trial_to_proto(best),
        importances=study.importances,
        notes=study.notes,
        end_reason=study.end_reason or "",
        error=failure_to_proto(study),
        create_time=to_timestamp(study.created_at),
        start_time=to_timestamp(study.started_at),
        end_time=to_timestamp(study.ended_at),
        update_time=to_timestamp(study.updated_at),
    )


def trial_to_proto(trial: Trial) -> study_pb2.StudyTrial:
    """A trial."""
    ran = trial.ended_at - trial.started_at if trial.ended_at and trial.started_at else None
    return study_pb2.StudyTrial(
        study_id=str(trial.study_id),
        number=trial.number,
        state=_TRIAL_STATES.to_proto(trial.state),
        parameters=to_struct(trial.parameters),
        score=trial.score,
        objectives=trial.objectives,
        metrics=trial.metrics,
        broken_caps=trial.broken_caps,
        epoch=trial.epoch,
        epochs=trial.epochs,
        losses=trial.losses,
        seconds=None if ran is None else ran.total_seconds(),
        attempts=trial.attempts,
        model_id=str(trial.model_id or ""),
        adjustments=trial.adjustments,
        error=failure_to_proto(trial),
        create_time=to_timestamp(trial.created_at),
        start_time=to_timestamp(trial.started_at),
        end_time=to_timestamp(trial.ended_at),
    )


def best_to_proto(
    study: Study, best: Trial | None, pareto: Sequence[Trial], model_config: Mapping[str, Any]
) -> study_pb2.BestTrial:
    """The best of a study."""
    return study_pb2.BestTrial(
        trial=None if best is None else trial_to_proto(best),
        pareto=[trial_to_proto(trial) for trial in pareto],
        model_config=to_struct(model_config) if model_config else None,
        importances=study.importances,
        study_id=str(study.id),
        state=_STUDY_STATES.to_proto(study.state),
        trials_ended=study.trials_ended,
        n_trials=study.n_trials,
    )


def checked_to_proto(plan: Plan) -> study_pb2.CheckedStudy:
    """What a request would come to."""
    return study_pb2.CheckedStudy(n_trials=plan.n_trials, notes=plan.notes)


class ShownEvent(NamedTuple):
    """An event with its message, made once for all who watch the study."""

    seq: int
    last: bool
    message: study_pb2.StudyEvent


def shown_event(event: StudyEvent) -> ShownEvent:
    """An event as watchers get it."""
    return ShownEvent(event.seq, event.last, event_to_proto(event))


def event_to_proto(event: StudyEvent) -> study_pb2.StudyEvent:
    """An event."""
    return study_pb2.StudyEvent(
        study_id=str(event.study_id),
        sequence=event.seq,
        resume_token=encode_resume_token(event.study_id, event.seq),
        kind=event.kind,
        state=_STUDY_STATES.to_proto(event.state),
        trials_ended=event.trials_ended,
        n_trials=event.n_trials,
        trial=_trial_of(event.trial),
        best_number=event.best_number or 0,
        best_score=event.best_score,
        importances=event.importances,
        message=event.message,
        error=failure_to_proto(event),
        event_time=to_timestamp(event.created_at),
    )


def heartbeat_to_proto(study_id: UUID, after: int) -> study_pb2.StudyEvent:
    """What is sent where nothing has happened for a while."""
    return study_pb2.StudyEvent(
        study_id=str(study_id),
        resume_token=encode_resume_token(study_id, after),
        kind="heartbeat",
        event_time=to_timestamp(utc_now()),
    )


def _trial_of(snapshot: Document | None) -> study_pb2.StudyTrial | None:
    return None if snapshot is None else trial_to_proto(snapshots.restored(snapshot))
