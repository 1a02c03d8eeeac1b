"""What the servicers read of a call beside its messages."""

from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio

from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from services.generation.errors import JobNotFound, ModelNotFound

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def job_id_of(text: str) -> UUID:
    """The id of a job; what is no id is an unknown one."""
    return parse_id(text, JobNotFound)


def model_id_of(text: str) -> UUID:
    """The id of a model; what is no id is an unknown one."""
    return parse_id(text, ModelNotFound)


def filter_id(field: str, text: str) -> UUID | None:
    """The id in a list's filter; None for none.

    Raises:
        InvalidRequest: it is no id.
    """
    if not text:
        return None
    return parse_id(text, lambda _text: InvalidRequest([Violation(field, "must be an id")]))
