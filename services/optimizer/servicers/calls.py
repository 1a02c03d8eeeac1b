"""What the servicers read of a call beside its messages."""

from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio

from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import parse_id
from services.optimizer.errors import StudyNotFound

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def study_id_of(text: str) -> UUID:
    """The id of a study; what is no id is an unknown one."""
    return parse_id(text, StudyNotFound)


def id_of(field: str, text: str) -> UUID:
    """The id in a field.

    Raises:
        InvalidRequest: it is none.
    """
    return parse_id(text, lambda _text: InvalidRequest([Violation(field, "must be an id")]))
