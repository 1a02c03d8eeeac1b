"""What is tried again while a part of the platform can't be reached."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

T = TypeVar("T")

DATABASE_ERRORS: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, OSError)
"""What says that the database can't be reached."""

_PATIENCE_S = 120.0


def is_database_gone(error: BaseException) -> bool:
    """Whether the database could not be reached, as opposed to refusing a statement."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError)
    return isinstance(error, PoolTimeoutError | ConnectionError)


async def patiently(do: Callable[[], Awaitable[T]], *passing: type[Exception], for_s: float = _PATIENCE_S) -> T:
    """Tries again while one of the passing errors is raised, for a while; then raises it."""
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(passing),
        wait=wait_random_exponential(multiplier=0.2, max=10),
        stop=stop_after_delay(for_s),
        reraise=True,
    )
    async for attempt in attempts:
        with attempt:
            return await do()
    raise AssertionError("the last attempt returns or raises")
