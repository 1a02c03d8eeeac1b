"""Errors as classes: a gRPC code, a reason that programs can tell, a message for people, and metadata.

Only the error interceptor turns them into a status; everything else raises.
"""

import errno
import math
from collections.abc import Iterable
from typing import NamedTuple

from grpc import StatusCode

# Of the disk, of the user's share of it, and of what one process may write into a file.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ROOM_IN_WORDS = "No space left on device"


class Violation(NamedTuple):
    """One wrong field of a request."""

    field: str  # where, such as `model_config.epochs`
    description: str  # what is wrong, and what would be right


class ServiceError(Exception):
    """An error that the caller is told about. Subclasses name their code and reason.

    Metadata are strings that a program can use, such as the id that was not found.
    """

    code: StatusCode = StatusCode.INTERNAL
    reason: str = "INTERNAL"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The wrong fields, if fields are what is wrong."""
        return ()


class InvalidRequest(ServiceError):
    """Fields of the request are wrong; all of them are named at once."""

    code = StatusCode.INVALID_ARGUMENT
    reason = "INVALID_REQUEST"

    def __init__(self, violations: Iterable[Violation]) -> None:
        self._violations = tuple(violations)
        super().__init__("; ".join(f"{field}: {description}" for field, description in self._violations))

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The wrong fields."""
        return self._violations


class Unauthenticated(ServiceError):
    """Nobody is signed in, or the token is not good."""

    code = StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"

    def __init__(self, message: str = "Sign in first: this call needs a valid access token.") -> None:
        super().__init__(message)


class TokenRevoked(Unauthenticated):
    """The access token was good, and is no longer: its session or key is over, or its account has changed."""

    reason = "TOKEN_REVOKED"

    def __init__(self) -> None:
        super().__init__("The access token was revoked. Renew it with the refresh token, or sign in again.")


class PermissionDenied(ServiceError):
    """The caller is known, but this call is not for their role."""

    code = StatusCode.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"

    def __init__(self, message: str = "Your role may not make this call.") -> None:
        super().__init__(message)


class InsufficientScope(PermissionDenied):
    """The caller's token is limited, and this call is beyond its limits (RFC 6750, section 3.1)."""

    reason = "INSUFFICIENT_SCOPE"

    def __init__(self, needed: Iterable[str]) -> None:
        scopes = sorted(needed)
        need = f"one with the scope {' or '.join(scopes)}" if scopes else "one without limits, as signing in gives it"
        super().__init__(f"Your token may not make this call: it needs {need}.")
        self.metadata = {"scope": " ".join(scopes)}


class RateLimited(ServiceError):
    """Too many attempts; the caller is told when to come back."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "RATE_LIMIT_EXCEEDED"

    def __init__(self, limit: int, retry_after_s: float) -> None:
        """Takes how many attempts may be made at once, and the seconds until the next one is let in."""
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(
            f"Too many attempts. Try again in {self.retry_after_s} seconds.",
            limit=str(limit),
            retry_after_seconds=str(self.retry_after_s),
        )


class Unavailable(ServiceError):
    """A part that is needed can't be reached just now; trying again may help."""

    code = StatusCode.UNAVAILABLE
    reason = "UNAVAILABLE"

    def __init__(self, part: str) -> None:
        super().__init__(f"The {part} can't be reached just now. Try again in a moment.", part=part)


TEMPORARY = "disk for temporary files"
"""Where work in progress is."""


class StorageFull(ServiceError):
    """There is no room left for what would have to be kept. Trying again helps once somebody has made room."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "STORAGE_FULL"

    def __init__(self, what: str) -> None:
        super().__init__(f"The platform's {what} is full. Nothing was kept; try again when there is room.")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is at the bottom of an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        if _NO_ROOM_IN_WORDS in str(error):  # libraries that keep no number
            return True
        error = error.__cause__ or error.__context__
    return False
