"""Ids: UUIDs of version 7, whose order is the order in which they were made (RFC 9562, section 5.7)."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import uuid_utils.compat

from servicekit.errors import ServiceError


def new_id() -> UUID:
    """A new id, greater than those this process made before."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> UUID:
    """The smallest id that could have been made at a moment, to the millisecond; the nil UUID before 1970."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=(milliseconds << 80) & ((1 << 128) - 1))


def parse_id(text: str, error: Callable[[str], ServiceError]) -> UUID:
    """Reads an id that a caller sent.

    What is no id names nothing, so it raises the error of an unknown one: `parse_id(request.job_id, JobNotFound)`.
    """
    try:
        parsed = UUID(text)
    except ValueError:
        raise error(text[:100]) from None
    if str(parsed) != text.lower():  # UUID() also takes braces, urn: and missing hyphens; an id has one spelling
        raise error(text[:100])
    return parsed
