"""A running optimizer service with real parts around it, as its tests use it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import grpc.aio
from pydantic import SecretStr
from sqlalchemy import text

from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.database import Database
from servicekit.server import running
from servicekit.structs import to_struct
from services.optimizer.server import application
from services.optimizer.settings import Settings
from tests.optimizer.service.peers import TrialPeer, serving_trials
from tests.support.auth_peer import SECRET, serving_auth
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

T = TypeVar("T")

SPACE = {"epochs": [50, 200], "batch_size": [100, 800]}


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
        self.studies: Any = _Signed(study_pb2_grpc.StudyServiceStub(channel), token)
        self.orders: Any = _Signed(study_pb2_grpc.StudyOrderServiceStub(channel), token)
        self.dependents: Any = _Signed(study_pb2_grpc.DependentStudyServiceStub(channel), token)

    async def start(self, dataset_id: str, **fields: Any) -> study_pb2.Study:
        """Starts a study; a quick one where nothing else is said."""
        study: study_pb2.Study = await self.studies.StartStudy(request(dataset_id, **fields))
        return study

    async def get(self, study_id: str) -> study_pb2.Study:
        """The study as it stands."""
        study: study_pb2.Study = await self.studies.GetStudy(study_pb2.GetStudyRequest(study_id=study_id))
        return study

    async def stop(self, study_id: str) -> study_pb2.Study:
        """Stops it."""
        study: study_pb2.Study = await self.studies.StopStudy(study_pb2.StopStudyRequest(study_id=study_id))
        return study

    async def trials(self, study_id: str, **fields: Any) -> list[study_pb2.StudyTrial]:
        """Its trials."""
        asked = study_pb2.ListTrialsRequest(study_id=study_id, page_size=200, **fields)
        return list((await self.studies.ListTrials(asked)).trials)

    async def best(self, study_id: str) -> study_pb2.BestTrial:
        """Its best."""
        best: study_pb2.BestTrial = await self.studies.GetBestTrial(study_pb2.GetBestTrialRequest(study_id=study_id))
        return best

    async def events(self, study_id: str, resume_token: str = "") -> list[study_pb2.StudyEvent]:
        """Every event behind a token until the stream closes; heartbeats aside."""
        watch = study_pb2.WatchStudyRequest(study_id=study_id, resume_token=resume_token)
        return [event async for event in self.studies.WatchStudy(watch) if event.kind != "heartbeat"]

    async def ended(self, study_id: str) -> study_pb2.Study:
        """The study once it has ended."""
        await self.events(study_id)
        return await self.get(study_id)


def request(dataset_id: str, **fields: Any) -> study_pb2.StartStudyRequest:
    """A request for a quick study, or for what `fields` say."""
    structs = ("search_space", "caps", "model_config")
    given = {
        "model_type": "ctgan",
        "optimization_method": "random",
        "n_trials": 4,
        "search_space": SPACE,
        "random_state": 7,
        **fields,
    }
    values: dict[str, Any] = {name: to_struct(given[name]) if name in structs else given[name] for name in given}
    return study_pb2.StartStudyRequest(dataset_id=dataset_id, **values)


@dataclass
class Platform:
    """What a test has at hand."""

    channel: grpc.aio.Channel
    settings: Settings
    database: Database
    peer: TrialPeer
    tokens: Tokens

    def user(self) -> Client:
        """A new person."""
        user_id = uuid4()
        return Client(self.channel, user_id, self.tokens.user(user_id))

    def service(self, name: str) -> Client:
        """Another service."""
        return Client(self.channel, uuid4(), self.tokens.service(name))


@asynccontextmanager
async def open_platform(postgres: PostgresForTests, tokens: Tokens, **changes: Any) -> AsyncIterator[Platform]:
    """A running service on an empty database; `changes` are settings that differ."""
    async with AsyncExitStack() as stack:
        peer = TrialPeer()
        stack.callback(peer.close)
        settings = settings_for(
            postgres,
            await stack.enter_async_context(serving_auth(tokens)),
            await stack.enter_async_context(serving_trials(peer, tokens)),
            **changes,
        )
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        async with database.sessions.begin() as session:
            await session.execute(text("TRUNCATE studies, outbox, pgqueuer CASCADE"))
        address = await stack.enter_async_context(running(settings, application(settings)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        yield Platform(channel, settings, database, peer, tokens)


def settings_for(postgres: PostgresForTests, auth_address: str, generation_address: str, **changes: Any) -> Settings:
    """What the service is started with."""
    values: dict[str, Any] = {
        "database_url": SecretStr(postgres.database_url("optimizer")),
        "auth_address": auth_address,
        "generation_address": generation_address,
        "service_client_id": "optimizer",
        "service_client_secret": SecretStr(SECRET),
        "shutdown_grace_seconds": 0,
        **changes,
    }
    return Settings(**values)


async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = 60.0) -> T:
    """Waits until a condition holds, and returns what it gave."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):  # noqa: ASYNC110 - what is waited for is in other processes
            await asyncio.sleep(0.02)
        return found
