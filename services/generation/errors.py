"""The generation service's errors: gRPC code, reason, metadata."""

from grpc import StatusCode

from servicekit.errors import ServiceError
from services.generation.states import JobState


class JobNotFound(ServiceError):
    """There is no such job, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "JOB_NOT_FOUND"

    def __init__(self, job_id: object) -> None:
        super().__init__(f"Job {job_id} does not exist.", job_id=str(job_id))


class ModelNotFound(ServiceError):
    """There is no such model, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"

    def __init__(self, model_id: object) -> None:
        super().__init__(f"Model {model_id} does not exist.", model_id=str(model_id))


class IllegalTransition(ServiceError):
    """The job can't go from where it stands to where it should; the reason names both."""

    code = StatusCode.FAILED_PRECONDITION

    def __init__(self, job_id: object, present: JobState, wanted: JobState) -> None:
        super().__init__(
            f"Job {job_id} is {_words(present)} and can't become {_words(wanted)}.",
            job_id=str(job_id),
            state=present.name,
            wanted_state=wanted.name,
        )
        self.reason = f"ILLEGAL_TRANSITION_{present.name}_TO_{wanted.name}"  # one for each pair of states


class TableNotReady(ServiceError):
    """The job hasn't made its table, or never will."""

    code, reason = StatusCode.FAILED_PRECONDITION, "TABLE_NOT_READY"

    def __init__(self, job_id: object, state: JobState) -> None:
        super().__init__(
            f"Job {job_id} has no table: it is {_words(state)}. Only a job that succeeded has one.",
            job_id=str(job_id),
            state=state.name,
        )


class TableExpired(ServiceError):
    """The job's table was kept for as long as tables are kept, and then deleted."""

    code, reason = StatusCode.NOT_FOUND, "TABLE_EXPIRED"

    def __init__(self, job_id: object) -> None:
        super().__init__(
            f"The table of job {job_id} has been kept for as long as this platform keeps tables. "
            "The same request with the same seed makes it again.",
            job_id=str(job_id),
        )


class QualityNotReady(ServiceError):
    """The job's table wasn't judged yet, or never will be."""

    code, reason = StatusCode.FAILED_PRECONDITION, "QUALITY_NOT_READY"

    def __init__(self, job_id: object, state: JobState) -> None:
        super().__init__(
            f"Job {job_id} has no quality report: it is {_words(state)}. Only a job that succeeded has one.",
            job_id=str(job_id),
            state=state.name,
        )


class QualityNotMeasured(ServiceError):
    """The job's table couldn't be judged, or was made when tables weren't."""

    code, reason = StatusCode.FAILED_PRECONDITION, "QUALITY_NOT_MEASURED"

    def __init__(self, job_id: object, problem: str) -> None:
        why = problem or "It was made when this platform didn't judge tables yet; evaluating it makes a report."
        super().__init__(f"The quality of job {job_id}'s table wasn't measured. {why}", job_id=str(job_id))


class QualityExpired(ServiceError):
    """The job's report was kept for as long as reports are kept, and then deleted."""

    code, reason = StatusCode.NOT_FOUND, "QUALITY_EXPIRED"

    def __init__(self, job_id: object) -> None:
        super().__init__(
            f"The quality report of job {job_id} has been kept for as long as this platform keeps reports.",
            job_id=str(job_id),
        )


class TooManySearches(ServiceError):
    """Parameters are searched for, for as many of the user's jobs as one user may have at once."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SEARCHES"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} of your jobs are searching for parameters, and one user may have no more at once. Start this one "
            "without optimization_config, or wait for one of them.",
            limit=str(limit),
        )


class TrialNotFound(ServiceError):
    """The study has no such trial."""

    code, reason = StatusCode.NOT_FOUND, "TRIAL_NOT_FOUND"

    def __init__(self, study_id: object, number: int) -> None:
        super().__init__(f"Study {study_id} has no trial {number}.", study_id=str(study_id), trial_number=str(number))


class ModelNeedsApproval(ServiceError):
    """A search's model would give its owner rows that nobody has approved."""

    code, reason = StatusCode.FAILED_PRECONDITION, "MODEL_NEEDS_APPROVAL"

    def __init__(self) -> None:
        super().__init__(
            "On this platform an administrator approves what is generated. Start a job with the best parameters; "
            "its model is yours once it is approved."
        )


class SamplingNeedsApproval(ServiceError):
    """More rows are to be drawn from a model at once than anybody has approved."""

    code, reason = StatusCode.FAILED_PRECONDITION, "SAMPLING_NEEDS_APPROVAL"

    def __init__(self, model_id: object, rows: int, most: int) -> None:
        may = (
            f"at most {most} rows may be drawn from this model at once" if most else "none may be drawn from this model"
        )
        super().__init__(
            f"On this platform an administrator approves what is generated; without that, {may}, not {rows}. "
            "Start a job with that sample_size: its rows are yours once it is approved.",
            model_id=str(model_id),
            maximum_rows=str(most),
        )


class TrialHasNoModel(ServiceError):
    """The trial hasn't made a model, never will, or it was deleted."""

    code, reason = StatusCode.FAILED_PRECONDITION, "TRIAL_HAS_NO_MODEL"

    def __init__(self, study_id: object, number: int, state: JobState) -> None:
        super().__init__(
            f"Trial {number} of study {study_id} has no model: it is {_words(state)}.",
            study_id=str(study_id),
            trial_number=str(number),
            state=state.name,
        )


class SamplersBusy(ServiceError):
    """As many models as this machine takes are being sampled, or tables judged, already."""

    code, reason = StatusCode.UNAVAILABLE, "SAMPLERS_BUSY"

    def __init__(self) -> None:
        super().__init__("Too many models are being sampled, or tables judged, just now. Try again in a moment.")


def _words(state: JobState) -> str:
    return state.value.replace("_", " ")
