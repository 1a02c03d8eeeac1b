"""A running generation service with real parts around it, as its tests use it."""

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import grpc.aio
import pyarrow as pa
from pydantic import SecretStr
from sqlalchemy import text

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2, job_pb2_grpc, model_pb2_grpc, quality_pb2_grpc, trial_pb2_grpc
from servicekit.database import Database
from servicekit.object_store import ObjectStore
from servicekit.server import running
from servicekit.settings import ObjectStoreSettings
from servicekit.structs import to_struct
from services.generation.server import application
from services.generation.settings import Settings
from tests.generation.service.peers import SourcePeer, serving_sources
from tests.support.auth_peer import SECRET, serving_auth
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

T = TypeVar("T")

ROWS = 120
TYPES = {
    "person_id": "identifier",
    "age": "integer",
    "income": "float",
    "city": "categorical",
    "joined": "date",
    "active": "boolean",
}
ROLES = {"person_id": "primary_key", "active": "target"}
SCHEMA = pa.schema(
    {
        "person_id": pa.int64(),
        "age": pa.int64(),
        "income": pa.float64(),
        "city": pa.string(),
        "joined": pa.date32(),
        "active": pa.bool_(),
    }
)


def people(rows: int = ROWS, seed: int = 7) -> pa.Table:
    """A table of mixed types with values missing."""
    draw = random.Random(seed)  # noqa: S311 - a table for tests, not a secret
    start = dt.date(2020, 1, 1)
    return pa.table(
        {
            "person_id": list(range(1000, 1000 + rows)),
            "age": [None if draw.random() < 0.1 else draw.randint(18, 90) for _ in range(rows)],
            "income": [round(draw.lognormvariate(10, 0.5), 2) for _ in range(rows)],
            "city": [draw.choice(["Vienna", "Graz", "Linz"]) for _ in range(rows)],
            "joined": [start + dt.timedelta(days=draw.randint(0, 900)) for _ in range(rows)],
            "active": [draw.random() < 0.7 for _ in range(rows)],
        },
        schema=SCHEMA,
    )


class _Signed:
    """A stub whose calls carry a token."""

    def __init__(self, stub: Any, token: str) -> None:
        self._stub = stub
        self._token = token

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)

        def call(request: Any, metadata: tuple[tuple[str, str], ...] = (), **options: Any) -> Any:
            return method(request, metadata=(("authorization", f"Bearer {self._token}"), *metadata), **options)

        return call


class Client:
    """A caller: everything that somebody with a token can call."""

    def __init__(self, channel: grpc.aio.Channel, user_id: UUID, token: str) -> None:
        self.user_id = user_id
        self.jobs: Any = _Signed(job_pb2_grpc.JobServiceStub(channel), token)
        self.administration: Any = _Signed(job_pb2_grpc.JobAdministrationServiceStub(channel), token)
        self.dependents: Any = _Signed(job_pb2_grpc.DependentServiceStub(channel), token)
        self.models: Any = _Signed(model_pb2_grpc.ModelServiceStub(channel), token)
        self.quality: Any = _Signed(quality_pb2_grpc.QualityServiceStub(channel), token)
        self.trials: Any = _Signed(trial_pb2_grpc.TrialServiceStub(channel), token)

    async def start(self, dataset_id: str, **fields: Any) -> job_pb2.Job:
        """Starts a job; a quick one where nothing else is said."""
        job: job_pb2.Job = await self.jobs.StartJob(request(dataset_id, **fields))
        return job

    async def get(self, job_id: str) -> job_pb2.Job:
        """The job as it stands."""
        job: job_pb2.Job = await self.jobs.GetJob(job_pb2.GetJobRequest(job_id=job_id))
        return job

    async def cancel(self, job_id: str, *, purge: bool = False) -> job_pb2.Job:
        """Cancels or purges."""
        job: job_pb2.Job = await self.jobs.CancelJob(job_pb2.CancelJobRequest(job_id=job_id, purge=purge))
        return job

    async def events(self, job_id: str, resume_token: str = "") -> list[job_pb2.JobEvent]:
        """Every event behind a token until the stream closes; heartbeats aside, for which a busy machine gives time."""
        watch = job_pb2.WatchJobRequest(job_id=job_id, resume_token=resume_token)
        return [event async for event in self.jobs.WatchJob(watch) if event.kind != "heartbeat"]

    async def ended(self, job_id: str) -> job_pb2.Job:
        """The job once it has ended."""
        await self.events(job_id)
        return await self.get(job_id)

    async def download(self, job_id: str, table_format: str = "") -> tuple[bytes, dict[str, str]]:
        """The table's file and the answer's headers."""
        call = self.jobs.DownloadTable(job_pb2.DownloadTableRequest(job_id=job_id, format=table_format))
        content = b"".join([body.data async for body in call])
        return content, dict(await call.initial_metadata())


def request(dataset_id: str, **fields: Any) -> job_pb2.StartJobRequest:
    """A request for a quick job, or for what `fields` say."""
    structs = ("model_config", "optimization_config", "privacy", "conditions")
    given = {"model_config": {"model_type": "gaussian_copula"}, "sample_size": 10, **fields}
    values: dict[str, Any] = {name: to_struct(given[name]) if name in structs else given[name] for name in given}
    return job_pb2.StartJobRequest(dataset_id=dataset_id, **values)


@dataclass
class Platform:
    """What a test has at hand."""

    channel: grpc.aio.Channel
    settings: Settings
    database: Database
    store: ObjectStore
    sources: SourcePeer
    tokens: Tokens

    def user(self) -> Client:
        """A new person."""
        user_id = uuid4()
        return Client(self.channel, user_id, self.tokens.user(user_id))

    def administrator(self) -> Client:
        """A new administrator."""
        user_id = uuid4()
        return Client(self.channel, user_id, self.tokens.administrator(user_id))

    def service(self, name: str) -> Client:
        """Another service."""
        return Client(self.channel, uuid4(), self.tokens.service(name))

    async def dataset(self, owner: Client, table: pa.Table | None = None, *, public: bool = False) -> str:
        """A dataset of this person's: the table of people where none is given."""
        return await self.sources.add(owner.user_id, table or people(), TYPES, ROLES, public=public)

    async def objects(self, owner: Client) -> set[str]:
        """The keys of this person's objects."""
        found = await asyncio.to_thread(
            lambda: list(self.store._client.list_objects(self.store.bucket, f"{owner.user_id}/", recursive=True))
        )
        return {item.object_name or "" for item in found}


def settings_for(
    postgres: PostgresForTests,
    object_store: EmbeddedObjectStore,
    auth_address: str,
    dataset_address: str,
    **changes: Any,
) -> dict[str, Any]:
    """What the service and a worker are started with."""
    return {
        "database_url": SecretStr(postgres.database_url("generation")),
        "auth_address": auth_address,
        "dataset_address": dataset_address,
        "service_client_id": "generation",
        "service_client_secret": SecretStr(SECRET),
        "shutdown_grace_seconds": 0,
        "worker_slots": 1,
        **{name.lower(): value for name, value in object_store.environment().items()},
        **changes,
    }


@asynccontextmanager
async def open_platform(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, **changes: Any
) -> AsyncIterator[Platform]:
    """A running service on an empty database; `changes` are settings that differ."""
    async with AsyncExitStack() as stack:
        s3 = ObjectStoreSettings(**{name.lower(): value for name, value in object_store.environment().items()})  # type: ignore[arg-type]  # all are strings; pydantic reads them
        dataset_store = ObjectStore(s3, "dataset")
        await dataset_store.ensure_bucket()
        sources = SourcePeer(dataset_store)
        settings = Settings(
            **settings_for(
                postgres,
                object_store,
                await stack.enter_async_context(serving_auth(tokens)),
                await stack.enter_async_context(serving_sources(sources, tokens)),
                **changes,
            )
        )
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        async with database.sessions.begin() as session:
            await session.execute(text("TRUNCATE jobs, models, loose_objects, outbox, pgqueuer CASCADE"))
        address = await stack.enter_async_context(running(settings, application(settings)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        store = ObjectStore(s3, "generation")
        yield Platform(channel, settings, database, store, sources, tokens)


async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = 60.0) -> T:
    """Waits until a condition holds, and returns what it gave."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.02)
        return found
