"""What the servicers read of a call beside its messages."""

import hashlib
from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio
from google.protobuf.message import Message

from servicekit.errors import InvalidRequest, Violation
from servicekit.idempotency import idempotency_key
from servicekit.ids import parse_id
from services.optimizer.errors import StudyNotFound
from services.optimizer.studies import Repeatable

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def repeatable(context: Context, request: Message) -> Repeatable | None:
    """The call's idempotency key with the request's fingerprint; None for no key.

    Raises:
        InvalidRequest: the key is too long, or holds what no header should.
    """
    key = idempotency_key(context)
    return Repeatable(key, hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()) if key else None


def study_id_of(text: str) -> UUID:
    """The id of a study; what is no id is an unknown one."""
    return parse_id(text, StudyNotFound)


def id_of(field: str, text: str) -> UUID:
    """The id in a field.

    Raises:
        InvalidRequest: it is none.
    """
    return parse_id(text, lambda _text: InvalidRequest([Violation(field, "must be an id")]))
