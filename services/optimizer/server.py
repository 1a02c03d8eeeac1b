"""The optimizer service's composition root: everything is wired here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio
import structlog

from mirage.holdings.v1 import holding_pb2_grpc
from mirage.optimizer.v1 import study_pb2_grpc
from servicekit import holdings
from servicekit.clients import ServiceIdentity, open_channel, peer_channel
from servicekit.database import Database
from servicekit.delivery import delivering
from servicekit.holdings import HoldingServicer
from servicekit.identity import RemoteKeys, TokenVerifier
from servicekit.listen import Listener
from servicekit.metrics.outbox import read_outbox
from servicekit.metrics.stored import database_metrics
from servicekit.queue_health import queue_look
from servicekit.request_telling import counted_requests
from servicekit.revocations import followed_revocations
from servicekit.security_notes import SecurityNotes
from servicekit.server import Application
from services.optimizer import events, metrics
from services.optimizer.driving import StudyDriver
from services.optimizer.holdings import Holdings
from services.optimizer.housekeeping import keep_tidy
from services.optimizer.planning import Planner
from services.optimizer.requests import RequestLimits
from services.optimizer.servicers.dependents import DependentStudyServicer
from services.optimizer.servicers.orders import StudyOrderServicer
from services.optimizer.servicers.streaming import StudyStreams
from services.optimizer.servicers.studies import StudyServicer
from services.optimizer.settings import Settings
from services.optimizer.strategist import Strategist
from services.optimizer.trial_client import TrialClient
from services.optimizer.work_queue import QUEUE

log = structlog.get_logger(__name__)

SERVICE_NAMES = (
    "mirage.optimizer.v1.DependentStudyService",
    "mirage.optimizer.v1.StudyOrderService",
    "mirage.optimizer.v1.StudyService",
    holdings.SERVICE_NAME,
)

# Driving a study is waiting, mostly.
_STUDIES_AT_ONCE = 64
_SECONDS_AN_HOUR = 3600
_AWAY_PAUSE_S = 1.0


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """What the server serves; what it opens is closed at the end, in reverse order."""
    async with AsyncExitStack() as stack:
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        sessions = database.sessions
        listener = await stack.enter_async_context(Listener(database.dsn, events.CHANNEL))
        tls = settings.internal_tls
        auth = await stack.enter_async_context(open_channel(settings.auth_address, tls))
        identity = ServiceIdentity(auth, settings)
        await stack.enter_async_context(delivering(settings, database, identity))
        requests = await stack.enter_async_context(counted_requests(settings, settings.activity_address, identity))
        notes = await stack.enter_async_context(SecurityNotes(database.sessions))
        revocations = await stack.enter_async_context(followed_revocations(auth, identity))
        verifier = TokenVerifier(
            RemoteKeys(auth), issuer=settings.token_issuer, audience=settings.token_audience, revocations=revocations
        )
        generation = await stack.enter_async_context(peer_channel(settings.generation_address, tls, identity))
        trials = TrialClient(generation, identity)
        strategist = Strategist()
        stack.push_async_callback(strategist.close)
        planner = Planner(trials, strategist, request_limits(settings))
        streams = StudyStreams(sessions, listener, settings.stream_heartbeat_seconds)
        await stack.enter_async_context(_driving(settings, database, listener, trials, strategist))

        def register(server: grpc.aio.Server) -> None:
            study_pb2_grpc.add_StudyServiceServicer_to_server(StudyServicer(sessions, planner, streams), server)
            study_pb2_grpc.add_StudyOrderServiceServicer_to_server(
                StudyOrderServicer(sessions, planner, streams), server
            )
            study_pb2_grpc.add_DependentStudyServiceServicer_to_server(DependentStudyServicer(sessions, trials), server)
            held = Holdings(sessions)
            holding_pb2_grpc.add_HoldingServiceServicer_to_server(HoldingServicer(held.sections, held.delete), server)

        measured = await stack.enter_async_context(
            database_metrics(
                settings, database, metrics.read_studies, metrics.read_trials, metrics.read_queues, read_outbox
            )
        )
        needs = {"database": database.check}
        looks = {"queue": queue_look(sessions, QUEUE)}
        yield Application(
            SERVICE_NAMES, register, verifier, listener.wind_down, needs, measured, notes.hear, looks, requests=requests
        )


@asynccontextmanager
async def _driving(
    settings: Settings, database: Database, listener: Listener, trials: TrialClient, strategist: Strategist
) -> AsyncIterator[None]:
    """Drives studies while the block runs; then gives back those that haven't ended."""
    stopping = asyncio.Event()
    driver = StudyDriver(
        database.sessions,
        listener,
        trials,
        strategist,
        settings.optimization_timeout_hours * _SECONDS_AN_HOUR,
        stopping,
    )
    consuming = asyncio.create_task(_keep_consuming(settings, database.dsn, driver, stopping))
    tidying = asyncio.create_task(keep_tidy(database.sessions))
    try:
        yield
    finally:
        stopping.set()
        tidying.cancel()
        await asyncio.wait({consuming, tidying})


async def _keep_consuming(settings: Settings, dsn: str, driver: StudyDriver, stopping: asyncio.Event) -> None:
    """Takes studies from the queue until it is told to stop, also where the database comes only later."""
    while not stopping.is_set():
        try:
            await QUEUE.consume(
                dsn,
                driver.handle,
                slots=_STUDIES_AT_ONCE,
                heartbeat_s=settings.study_heartbeat_seconds,
                stop=stopping,
            )
        except Exception as error:  # whatever it is, studies must not wait for ever
            log.warning("queue_lost", error=type(error).__name__)
            await asyncio.sleep(_AWAY_PAUSE_S)


def request_limits(settings: Settings) -> RequestLimits:
    """What the settings allow a request."""
    return RequestLimits(
        default_trials=settings.default_optimization_trials,
        maximum_trials=settings.max_optimization_trials,
        maximum_parallel_trials=settings.max_parallel_trials,
        maximum_seconds=settings.optimization_timeout_hours * _SECONDS_AN_HOUR,
    )
