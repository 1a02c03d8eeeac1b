"""Pages of studies and trials: opaque tokens outside, keys inside."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.errors import InvalidRequest, Violation
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from services.optimizer import repository
from services.optimizer.models import Study, Trial
from services.optimizer.repository import StudyFilter
from services.optimizer.states import TrialState

_WRONG_TOKEN = (Violation("page_token", "must be a next_page_token, unchanged"),)


async def studies(
    session: AsyncSession, wanted: StudyFilter, page_size: int, page_token: str
) -> tuple[Sequence[Study], str]:
    """A page of studies, the newest first, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "studies", **wanted._asdict()}
    limit = page_limit(page_size)
    key = decode_page_token(page_token, query)
    try:
        before = None if key is None else UUID(key["id"])
    except (KeyError, ValueError, AttributeError, TypeError):
        raise InvalidRequest(_WRONG_TOKEN) from None
    found = await repository.page_studies(session, wanted, before, limit + 1)
    token = encode_page_token(query, {"id": str(found[limit - 1].id)}) if len(found) > limit else ""
    return found[:limit], token


async def trials(
    session: AsyncSession, study_id: UUID, state: TrialState | None, page_size: int, page_token: str
) -> tuple[Sequence[Trial], str]:
    """A page of a study's trials by number, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "trials", "study_id": study_id, "state": state}
    limit = page_limit(page_size)
    key = decode_page_token(page_token, query)
    after = 0 if key is None else key.get("number")
    if not isinstance(after, int):
        raise InvalidRequest(_WRONG_TOKEN)
    found = await repository.page_trials(session, study_id, state, after, limit + 1)
    token = encode_page_token(query, {"number": found[limit - 1].number}) if len(found) > limit else ""
    return found[:limit], token
