"""Ids: UUIDs of version 7, whose order is the order in which they were made (RFC 9562, section 5.7)."""

from collections.abc import Callable
from uuid import UUID

import uuid_utils.compat

from servicekit.errors import ServiceError


def new_id() -> UUID:
    """A new id, greater than those this process made before."""
    return uuid_utils.compat.uuid7()


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
