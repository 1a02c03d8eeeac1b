"""What the auth service measures: accounts."""

from collections.abc import Sequence
from itertools import product

from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.access import Role
from servicekit.metrics.stored import gauge
from services.auth import repository


async def read_accounts(session: AsyncSession) -> Sequence[Metric]:
    """Reads how many accounts there are, by role and by whether they are active."""
    counted = await repository.count_accounts(session)
    kinds = product((Role.USER, Role.ADMINISTRATOR), (True, False))
    return (
        gauge(
            "mirage_accounts",
            "Accounts, by role and by whether they are active.",
            ("role", "active"),
            (((role.value, str(active).lower()), counted.get((role, active), 0)) for role, active in kinds),
        ),
    )
