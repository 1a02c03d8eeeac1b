"""Security events: what somebody who watches over the platform wants to be told of, in one shape.

Each is a line of the log whose message is the event's name and whose metadata hold `security: true`, the address that
the call came from, and what is known of whom it concerns. Never a token, a password or what was typed as one.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import structlog

from servicekit.origin import client_address

log = structlog.get_logger("security")


class SecurityEvent(StrEnum):
    """The names of the events; `docs/security.md` says what each means."""

    SIGN_IN_FAILED = "sign_in_failed"
    PASSWORD_CONFIRMATION_FAILED = "password_confirmation_failed"  # noqa: S105 - a name
    THROTTLED = "throttled"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a name
    TOKEN_FORGED = "token_forged"  # noqa: S105 - a name
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a name
    ROLE_DENIED = "role_denied"
    SCOPE_DENIED = "scope_denied"
    SERVICE_SIGN_IN_FAILED = "service_sign_in_failed"
    ADDRESS_TAKEN = "address_taken"
    API_KEY_REFUSED = "api_key_refused"


Hearer = Callable[[SecurityEvent, Mapping[str, Any]], None]
"""Takes an event with what is known of it; returns at once, and raises nothing."""

_hearer: ContextVar[Hearer | None] = ContextVar("security_hearer", default=None)


def set_hearer(hearer: Hearer | None) -> None:
    """Tells the rest of this call who else is told of its security events; for the interceptor."""
    _hearer.set(hearer)


def report(event: SecurityEvent, **fields: str | int | float | bool | None) -> None:
    """Tells of a security event of the call that is being served; the request id and the user are added by themselves.

    Args:
        event: what happened.
        fields: what is known of it, such as `subject` or `cause`. Nothing secret.
    """
    if hearer := _hearer.get():
        hearer(event, fields)
    log.warning(event.value, security=True, client_address=client_address() or None, **fields)
