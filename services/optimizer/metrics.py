"""What the optimizer measures: studies that haven't ended, and their trials."""

from collections.abc import Sequence

from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.metrics.queues import queue_reading
from servicekit.metrics.stored import gauge
from services.optimizer import repository
from services.optimizer.states import STUDY_ENDED, StudyState, TrialState
from services.optimizer.work_queue import QUEUE

read_queues = queue_reading({"studies": QUEUE})
"""Reads the queue's length and age."""


async def read_studies(session: AsyncSession) -> Sequence[Metric]:
    """Reads how many studies that haven't ended stand where; a zero where none does."""
    counted = await repository.count_open_studies(session)
    states = [state for state in StudyState if state not in STUDY_ENDED]
    return (
        gauge(
            "mirage_studies",
            "Studies that haven't ended, by where they stand.",
            ("state",),
            (((state.value,), counted.get(state, 0)) for state in states),
        ),
    )


async def read_trials(session: AsyncSession) -> Sequence[Metric]:
    """Reads how many trials of these studies stand where; a zero where none does."""
    counted = await repository.count_open_trials(session)
    return (
        gauge(
            "mirage_trials",
            "Trials of studies that haven't ended, by where they stand.",
            ("state",),
            (((state.value,), counted.get(state, 0)) for state in TrialState),
        ),
    )


READINGS = (read_studies, read_trials, read_queues)
"""What is read from the database when somebody scrapes."""
