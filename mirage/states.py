"""From the word for a state, as a caller writes it, to the contract's value."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from mirage.dataset.v1 import dataset_pb2
from mirage.errors import InvalidRequest
from mirage.generation.v1 import job_pb2
from mirage.optimizer.v1 import study_pb2
from mirage.records.dataset import dataset_state
from mirage.records.generation import job_state
from mirage.records.optimizer import study_state, trial_state

V = TypeVar("V", bound=int)


def dataset_state_value(state: str) -> dataset_pb2.DatasetState.ValueType:
    """Returns the value of a dataset's state; that of no state for an empty word.

    Raises:
        InvalidRequest: if there is no such state.
    """
    return _value(state, dataset_pb2.DatasetState.values(), dataset_state, "dataset")


def job_state_value(state: str) -> job_pb2.JobState.ValueType:
    """Returns the value of a job's state; that of no state for an empty word.

    Raises:
        InvalidRequest: if there is no such state.
    """
    return _value(state, job_pb2.JobState.values(), job_state, "job")


def study_state_value(state: str) -> study_pb2.StudyState.ValueType:
    """Returns the value of a study's state; that of no state for an empty word.

    Raises:
        InvalidRequest: if there is no such state.
    """
    return _value(state, study_pb2.StudyState.values(), study_state, "study")


def trial_state_value(state: str) -> study_pb2.TrialState.ValueType:
    """Returns the value of a trial's state; that of no state for an empty word.

    Raises:
        InvalidRequest: if there is no such state.
    """
    return _value(state, study_pb2.TrialState.values(), trial_state, "trial")


def _value(state: str, values: Iterable[V], word: Callable[[int], str], what: str) -> V:
    by_word = {word(value) if value else "": value for value in values}
    if state.lower() not in by_word:
        known = ", ".join(filter(None, by_word))
        raise InvalidRequest(f"{state!r} is no state of a {what}: {known}.", reason="UNKNOWN_STATE")
    return by_word[state.lower()]
