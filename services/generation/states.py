"""What a job is for, where it can stand, and where it can go from there: the state machine, as data."""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands; the names are those of the contract."""

    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    OPTIMIZING = "optimizing"
    PREPARING = "preparing"
    TRAINING = "training"
    SAMPLING = "sampling"
    EVALUATING = "evaluating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class Purpose(StrEnum):
    """What a job is for."""

    JOB = "job"  # a user's table
    TRIAL = "trial"  # to see how good some parameters are; it keeps no rows


_S = JobState

ALLOWED: Mapping[JobState, frozenset[JobState]] = {
    _S.AWAITING_APPROVAL: frozenset({_S.QUEUED, _S.REJECTED, _S.CANCELLED}),
    # A job that a worker has claimed is prepared; one whose parameters are to be searched for is optimised first.
    _S.QUEUED: frozenset({_S.OPTIMIZING, _S.PREPARING, _S.FAILED, _S.CANCELLED}),
    # What was optimised waits for a worker again: a search holds no training slot.
    _S.OPTIMIZING: frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLED}),
    # Whatever a worker was doing goes back to the queue when the worker stops or is lost.
    _S.PREPARING: frozenset({_S.TRAINING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.TRAINING: frozenset({_S.SAMPLING, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.SAMPLING: frozenset({_S.EVALUATING, _S.SUCCEEDED, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.EVALUATING: frozenset({_S.SUCCEEDED, _S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
}

ENDED = frozenset(state for state, following in ALLOWED.items() if not following)
"""States that a job never leaves."""

AT_WORK = frozenset({_S.PREPARING, _S.TRAINING, _S.SAMPLING, _S.EVALUATING})
"""States in which a worker has the job."""

STAGES: Mapping[JobState, str] = {
    _S.AWAITING_APPROVAL: "Waiting for an administrator's approval",
    _S.QUEUED: "Waiting for a worker",
    _S.OPTIMIZING: "Searching for the best parameters",
    _S.PREPARING: "Fetching and preparing the table",
    _S.TRAINING: "Training the model",
    _S.SAMPLING: "Drawing rows",
    _S.EVALUATING: "Judging the table",
    _S.SUCCEEDED: "Done",
    _S.FAILED: "Failed",
    _S.CANCELLED: "Cancelled",
    _S.REJECTED: "Rejected by an administrator",
}
"""What is being done, in words."""
