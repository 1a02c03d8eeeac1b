"""PostgreSQL through SQLAlchemy and asyncpg."""

import asyncpg
from sqlalchemy import MetaData, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from servicekit import form_faults
from servicekit.errors import InvalidRequest
from servicekit.settings import ServiceSettings

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of indexes and constraints, so that migrations can name what they drop."""

# No socket, nobody listening, no answer; starting, stopping, out of connections.
DATABASE_AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What asyncpg raises when the database is not to be reached; OSError is also a TimeoutError."""


def metadata() -> MetaData:
    """The MetaData of a service's models."""
    return MetaData(naming_convention=NAMING)


def asyncpg_dsn(database_url: str) -> str:
    """The same database as asyncpg names it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


class _Session(Session):
    """Commits nothing of a request that is only judged."""


@event.listens_for(_Session, "before_commit")
def _carry_nothing_out(_session: Session) -> None:
    if form_faults.are_known():
        raise InvalidRequest(())


class Database:
    """One service's database: its own role, and its own schema by that role's search path."""

    def __init__(self, url: str, *, pool_size: int = 10, timeout_s: float = 10.0) -> None:
        self.dsn = asyncpg_dsn(url)
        self._timeout_s = timeout_s
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout_s,
            pool_pre_ping=True,
            hide_parameters=True,  # errors are logged, and what was written may be cells of a table
            async_creator=self._connect,
        )
        # A row that was committed is still read afterwards, to make the answer.
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self.engine, expire_on_commit=False, sync_session_class=_Session
        )
        self._checking: asyncpg.Connection | None = None

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "Database":
        """The database that the settings name."""
        return cls(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            timeout_s=settings.database_timeout_seconds,
        )

    async def _connect(self) -> asyncpg.Connection:
        """Connects.

        Raises:
            ConnectionError: the database is not to be reached, in whichever of its many ways.
        """
        try:
            return await asyncpg.connect(self.dsn, timeout=self._timeout_s, command_timeout=self._timeout_s * 6)
        except DATABASE_AWAY as error:
            raise ConnectionError("the database can't be reached") from error

    async def ping(self) -> None:
        """Raises unless the database answers."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def check(self) -> None:
        """Raises unless the database answers. It has a connection of its own: a pool in use isn't a database away."""
        try:
            if self._checking is None:
                self._checking = await asyncpg.connect(self.dsn)
            await self._checking.execute("SELECT 1")
        except BaseException:
            if self._checking is not None:
                self._checking.terminate()
                self._checking = None
            raise

    async def close(self) -> None:
        """Closes every connection."""
        if self._checking is not None:
            self._checking.terminate()
        await self.engine.dispose()
