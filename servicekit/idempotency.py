"""Requests that are safe to repeat: the same key by the same caller gives the first answer again."""

import hashlib
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

import grpc.aio
from google.protobuf.message import Message
from grpc import StatusCode

from servicekit.errors import InvalidRequest, ServiceError, Violation

HEADER = "idempotency-key"
KEPT = timedelta(days=2)
"""How long a key is remembered."""

_LONGEST_KEY = 200

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class IdempotencyKeyReused(ServiceError):
    """The key was used before, with another body."""

    code, reason = StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used with another request. Use a new key for a new request.")


class Repeatable(NamedTuple):
    """A request's idempotency key, and what tells the request from others."""

    key: str
    fingerprint: str


def repeatable(context: Context, request: Message) -> Repeatable | None:
    """The call's idempotency key with the request's fingerprint (SHA-256, in hexadecimal); None for no key.

    Raises:
        InvalidRequest: the key is too long, or holds what no header should.
    """
    key = idempotency_key(context)
    return Repeatable(key, hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()) if key else None


def idempotency_key(context: Context) -> str:
    """The call's idempotency key; empty if it has none.

    Raises:
        InvalidRequest: the key is too long, or holds what no header should.
    """
    for name, value in context.invocation_metadata() or ():
        if name == HEADER and value:
            key = value if isinstance(value, str) else value.decode("latin-1")
            if len(key) > _LONGEST_KEY or not key.isprintable():
                raise InvalidRequest([Violation(HEADER, f"must be at most {_LONGEST_KEY} printable characters")])
            return key
    return ""
