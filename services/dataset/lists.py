"""Pages of datasets and versions: opaque tokens outside, keys inside."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.errors import InvalidRequest, Violation
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from services.dataset import repository
from services.dataset.models import Version
from services.dataset.repository import DatasetFilter, View


async def datasets(
    session: AsyncSession, wanted: DatasetFilter, page_size: int, page_token: str
) -> tuple[Sequence[View], str]:
    """A page of datasets, the newest first, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "datasets", **wanted._asdict()}
    limit, before = page_limit(page_size), _key(page_token, query)
    found = await repository.page_datasets(session, wanted, before, limit + 1)
    token = encode_page_token(query, {"id": str(found[limit - 1].dataset.id)}) if len(found) > limit else ""
    return found[:limit], token


async def versions(
    session: AsyncSession, dataset_id: UUID, page_size: int, page_token: str
) -> tuple[Sequence[Version], str]:
    """A page of a dataset's versions, the newest first, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "versions", "dataset_id": dataset_id}
    limit, key = page_limit(page_size), decode_page_token(page_token, query)
    before = whole_number(key, "number") if key is not None else None
    found = await repository.page_versions(session, dataset_id, before, limit + 1)
    token = encode_page_token(query, {"number": found[limit - 1].number}) if len(found) > limit else ""
    return found[:limit], token


def whole_number(key: Mapping[str, Any], name: str, most: int = repository.LARGEST_NUMBER) -> int:
    """A whole number, 0 or more, in a token's key.

    Raises:
        InvalidRequest: it holds none.
    """
    number = key.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise _wrong_token()
    return number


def _key(page_token: str, query: dict[str, Any]) -> UUID | None:
    key = decode_page_token(page_token, query)
    if key is None:
        return None
    try:
        return UUID(key["id"])
    except (KeyError, ValueError, AttributeError, TypeError):
        raise _wrong_token() from None


def _wrong_token() -> InvalidRequest:
    return InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")])
