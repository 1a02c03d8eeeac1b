"""Pages of jobs and models: opaque tokens outside, keys inside."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.errors import InvalidRequest, Violation
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from services.generation import repository
from services.generation.models import Job, Model
from services.generation.repository import JobFilter


async def jobs(session: AsyncSession, wanted: JobFilter, page_size: int, page_token: str) -> tuple[Sequence[Job], str]:
    """A page of jobs, the newest first, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "jobs", **wanted._asdict()}
    limit, before = page_limit(page_size), _key(page_token, query)
    found = await repository.page_jobs(session, wanted, before, limit + 1)
    return found[:limit], _next_token(found, limit, query)


async def models(
    session: AsyncSession, owner_id: UUID, dataset_id: UUID | None, page_size: int, page_token: str
) -> tuple[Sequence[Model], str]:
    """A page of an owner's models, the newest first, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "models", "owner_id": owner_id, "dataset_id": dataset_id}
    limit, before = page_limit(page_size), _key(page_token, query)
    found = await repository.page_models(session, owner_id, dataset_id, before, limit + 1)
    return found[:limit], _next_token(found, limit, query)


def _key(page_token: str, query: dict[str, Any]) -> UUID | None:
    key = decode_page_token(page_token, query)
    if key is None:
        return None
    try:
        return UUID(key["id"])
    except (KeyError, ValueError, AttributeError, TypeError):
        raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")]) from None


def _next_token(found: Sequence[Job] | Sequence[Model], limit: int, query: dict[str, Any]) -> str:
    return encode_page_token(query, {"id": str(found[limit - 1].id)}) if len(found) > limit else ""
