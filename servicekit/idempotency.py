"""Requests that are safe to repeat: the same key by the same caller gives the first answer again."""

from typing import Any, TypeAlias

import grpc.aio
from grpc import StatusCode

from servicekit.errors import InvalidRequest, ServiceError, Violation

HEADER = "idempotency-key"
_LONGEST_KEY = 200

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class IdempotencyKeyReused(ServiceError):
    """The key was used before, with another body."""

    code, reason = StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used with another request. Use a new key for a new request.")


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
