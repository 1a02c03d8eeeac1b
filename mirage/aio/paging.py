"""Lists that the platform gives out in pages."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

LARGEST_PAGE = 200


async def collect(
    page: Callable[[int, str], Awaitable[tuple[Sequence[Item], str]]],
    limit: int | None,
    largest_page: int = LARGEST_PAGE,
) -> list[Item]:
    """Returns the first `limit` items, or all of them.

    Args:
        page: takes how many items are wanted and the token of the page; returns its items and the token of the next.
        limit: how many; None for all.
        largest_page: the most that one page can hold.
    """
    items: list[Item] = []
    token = ""
    while limit is None or len(items) < limit:
        wanted = largest_page if limit is None else min(limit - len(items), largest_page)
        found, token = await page(wanted, token)
        items.extend(found)
        if not token:
            break
    return items if limit is None else items[:limit]
