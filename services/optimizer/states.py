"""Where a study and a trial can stand, and where they can go from there: the state machines, as data."""

from collections.abc import Mapping
from enum import StrEnum


class StudyState(StrEnum):
    """Where a study stands; the names are those of the contract."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    FAILED = "failed"


class TrialState(StrEnum):
    """Where a trial stands; the names are those of the contract."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EndReason(StrEnum):
    """By what a study ended; the names are those of the contract."""

    TRIALS = "trials"
    TIMEOUT = "timeout"
    PATIENCE = "patience"
    SPACE = "space"
    STOPPED = "stopped"


_S, _T = StudyState, TrialState

STUDY_STEPS: Mapping[StudyState, frozenset[StudyState]] = {
    _S.QUEUED: frozenset({_S.RUNNING, _S.STOPPED, _S.FAILED}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.STOPPED, _S.FAILED}),
    _S.SUCCEEDED: frozenset(),
    _S.STOPPED: frozenset(),
    _S.FAILED: frozenset(),
}
"""Where a study can go."""

STUDY_ENDED = frozenset(state for state, following in STUDY_STEPS.items() if not following)
"""States that a study never leaves."""

TRIAL_STEPS: Mapping[TrialState, frozenset[TrialState]] = {
    _T.QUEUED: frozenset({_T.RUNNING, _T.SUCCEEDED, _T.PRUNED, _T.FAILED, _T.CANCELLED}),
    # One whose worker was lost waits for another.
    _T.RUNNING: frozenset({_T.QUEUED, _T.SUCCEEDED, _T.PRUNED, _T.FAILED, _T.CANCELLED}),
    _T.SUCCEEDED: frozenset(),
    _T.PRUNED: frozenset(),
    _T.FAILED: frozenset(),
    _T.CANCELLED: frozenset(),
}
"""Where a trial can go."""

TRIAL_ENDED = frozenset(state for state, following in TRIAL_STEPS.items() if not following)
"""States that a trial never leaves."""

SCORED = frozenset({_T.SUCCEEDED, _T.PRUNED})
"""States of trials that have scores."""
