"""Every query on the counts of what happened; each takes whose, or everybody's."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.activity.rollups import EVERYBODY, Standing, StandingCount
from services.activity.statistics.periods import Period, counted_in

DELETED = 9
"""The rank of what is no more."""

_DAYS = text("""
    SELECT width_bucket(quarter, CAST(:starts AS timestamptz[])) - 1 AS day,
        sum(events)::bigint AS events, sum(sign_ins)::bigint AS sign_ins, sum(uploads)::bigint AS uploads,
        sum(jobs_created)::bigint AS jobs_created, sum(jobs_succeeded)::bigint AS jobs_succeeded,
        sum(jobs_failed)::bigint AS jobs_failed, sum(jobs_cancelled)::bigint AS jobs_cancelled,
        sum(downloads)::bigint AS downloads, sum(model_samples)::bigint AS model_samples,
        sum(reports_viewed)::bigint AS reports_viewed, sum(searches)::bigint AS searches,
        sum(judged)::bigint AS judged, sum(quality_total) AS quality_total
    FROM activity_quarters
    WHERE owner_id = :scope AND quarter >= :start AND quarter < :end
    GROUP BY 1
""")
_OF_FACETS = counted_in(
    "facet_counts",
    "facet, label, count, measured, total",
    "owner_id = :scope AND facet = ANY(CAST(:facets AS text[]))",
)
_FACETS = text(f"""
    SELECT facet, label, sum(count)::bigint AS count, sum(measured)::bigint AS measured, sum(total) AS total
    FROM {_OF_FACETS}
    GROUP BY facet, label
""")  # noqa: S608 - of our own words
_ACTIVE = text(f"""
    WITH acted AS MATERIALIZED (
        SELECT user_id, sum(count)::bigint AS count
        FROM {counted_in("user_actions", "user_id, count", "true")}
        GROUP BY user_id
    )
    (SELECT user_id, 0 AS class, count FROM acted ORDER BY count DESC, user_id LIMIT :limit)
    UNION ALL
    (
        SELECT NULL, class, count(*)
        FROM (SELECT width_bucket(count, CAST(:classes AS bigint[])) AS class FROM acted) AS classed
        GROUP BY class
    )
""")  # noqa: S608 - of our own words


class Day(NamedTuple):
    """What happened on a day."""

    events: int = 0
    sign_ins: int = 0
    uploads: int = 0
    jobs_created: int = 0
    jobs_succeeded: int = 0
    jobs_failed: int = 0
    jobs_cancelled: int = 0
    downloads: int = 0
    model_samples: int = 0
    reports_viewed: int = 0
    searches: int = 0
    judged: int = 0
    quality_total: Decimal = Decimal(0)


class Facet(NamedTuple):
    """How often something with some properties happened."""

    facet: str
    label: tuple[str, ...]
    count: int  # type: ignore[assignment]  # hides the tuple's own method, which nobody needs here
    measured: int  # those that had a number
    total: Decimal  # the sum of their numbers


class Active(NamedTuple):
    """Who was active."""

    classes: tuple[int, ...]  # users, by the class of how much they did
    busiest: tuple[tuple[UUID, int], ...]  # who did most, and how much


async def days_of(session: AsyncSession, scope_id: UUID, period: Period) -> list[Day]:
    """What happened on each day of a period."""
    days = [Day()] * len(period.dates)
    values = {"scope": scope_id, "starts": list(period.starts), "start": period.start, "end": period.end}
    for index, *counts in await session.execute(_DAYS, values):
        days[index] = Day(*counts)
    return days


async def facets_of(session: AsyncSession, scope_id: UUID, period: Period, facets: Collection[str]) -> list[Facet]:
    """How often something happened in a period, by its properties."""
    values = {"scope": scope_id, "facets": list(facets), **period.bounds}
    return [Facet(row.facet, tuple(row.label), *row[2:]) for row in await session.execute(_FACETS, values)]


async def active_users(session: AsyncSession, period: Period, classes: Sequence[int], limit: int) -> Active:
    """Who was active in a period; `classes` are the fewest events of each class, ascending from 1."""
    values = {"classes": list(classes), "limit": limit, **period.bounds}
    users, busiest = [0] * len(classes), []
    for user_id, place, count in await session.execute(_ACTIVE, values):
        if user_id is None:
            users[place - 1] = int(count)
        else:
            busiest.append((user_id, int(count)))
    return Active(tuple(users), tuple(busiest))


async def standings_of(session: AsyncSession, scope_id: UUID) -> dict[tuple[str, int], int]:
    """How many objects there are, by their type and rank; those that were deleted aside."""
    query = select(StandingCount.object_type, StandingCount.rank, StandingCount.count).where(
        StandingCount.owner_id == scope_id, StandingCount.rank < DELETED
    )
    return {(object_type, rank): count for object_type, rank, count in await session.execute(query)}


async def latest_jobs(session: AsyncSession, scope_id: UUID, limit: int) -> Sequence[Standing]:
    """The latest jobs that there are, the newest first."""
    query = (
        select(Standing)
        .where(Standing.object_type == "job", Standing.rank < DELETED, Standing.create_time.is_not(None))
        .order_by(Standing.create_time.desc(), Standing.object_id.desc())
        .limit(limit)
    )
    if scope_id != EVERYBODY:
        query = query.where(Standing.owner_id == scope_id)
    return (await session.scalars(query)).all()
