"""The dataset service's composition root: everything is wired here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio

from mirage.dataset.v1 import dataset_pb2_grpc, source_pb2_grpc
from mirage.holdings.v1 import holding_pb2_grpc
from servicekit import holdings
from servicekit.clients import ServiceIdentity, open_channel, peer_channel
from servicekit.database import Database
from servicekit.delivery import delivering
from servicekit.holdings import HoldingServicer
from servicekit.identity import RemoteKeys, TokenVerifier
from servicekit.listen import Listener
from servicekit.metrics.outbox import read_outbox
from servicekit.metrics.stored import database_metrics
from servicekit.object_store import ObjectStore
from servicekit.queue_health import queue_look
from servicekit.quota import StorageQuota
from servicekit.request_telling import counted_requests
from servicekit.revocations import followed_revocations
from servicekit.security_notes import SecurityNotes
from servicekit.server import Application
from servicekit.sweeping import Sweeper, keep_sweeping
from servicekit.workspace import open_workspace
from services.dataset import events
from services.dataset.dependents import DependentClient
from services.dataset.holdings import Holdings
from services.dataset.housekeeping import keep_tidy
from services.dataset.ingesting import IngestionRules, Ingestor
from services.dataset.ingestion.runner import IngestionRunner
from services.dataset.ingestion.tasks import Limits
from services.dataset.metrics import UploadMetrics, read_queues
from services.dataset.models import loose_objects
from services.dataset.retyping import Retyper
from services.dataset.servicers.datasets import DatasetServicer, Rules
from services.dataset.servicers.sources import SourceServicer
from services.dataset.settings import Settings
from services.dataset.storage import NAMED, stored_bytes
from services.dataset.updates import Updates
from services.dataset.uploads import Uploads
from services.dataset.work_queue import QUEUE

SERVICE_NAMES = ("mirage.dataset.v1.DatasetService", "mirage.dataset.v1.SourceService", holdings.SERVICE_NAME)


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """What the server serves, with the reading of files beside it; what it opens is closed in reverse order."""
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
        optimizer = await stack.enter_async_context(peer_channel(settings.optimizer_address, tls, identity))
        store = ObjectStore(settings, "dataset")
        await store.ensure_bucket()
        workspace = stack.enter_context(open_workspace())
        limits = ingestion_limits(settings)
        runner = IngestionRunner(
            memory_limit_bytes=settings.ingestion_memory_bytes, time_limit_s=settings.ingestion_timeout_seconds
        )
        stack.push_async_callback(runner.close)
        await runner.start()
        stopping = asyncio.Event()
        rules = IngestionRules(limits, settings.ingestion_max_losses)
        measured = UploadMetrics()
        ingestor = Ingestor(sessions, listener, store, runner.ingest, workspace, rules, stopping, measured)
        dependents = DependentClient(generation, optimizer)
        quota = StorageQuota(settings.storage_quota_mb, stored_bytes, dependents.stored_bytes)
        datasets = DatasetServicer(
            sessions,
            store,
            listener,
            workspace,
            Uploads(sessions, store, listener, quota, settings.upload_time_s, measured),
            Updates(sessions, store, quota, Retyper(store, runner.ingest, workspace, limits, settings.ingestion_slots)),
            dependents,
            Rules(settings.max_file_bytes, settings.stream_heartbeat_seconds),
        )

        def register(server: grpc.aio.Server) -> None:
            dataset_pb2_grpc.add_DatasetServiceServicer_to_server(datasets, server)
            source_pb2_grpc.add_SourceServiceServicer_to_server(SourceServicer(sessions, store), server)
            held = Holdings(sessions, store)
            holding_pb2_grpc.add_HoldingServiceServicer_to_server(HoldingServicer(held.sections, held.delete), server)

        await stack.enter_async_context(_ingesting(settings, database, ingestor, stopping))
        sweeper = Sweeper(sessions, store, loose_objects, NAMED)
        for task in (
            asyncio.create_task(keep_tidy(sessions, store, workspace)),
            asyncio.create_task(keep_sweeping(sweeper, settings.sweep_interval_minutes * 60)),
        ):
            stack.push_async_callback(_cancelled, task)
        needs = {"database": database.check, "object store": store.check}
        looks = {"queue": queue_look(sessions, QUEUE)}
        stored = await stack.enter_async_context(database_metrics(settings, database, read_queues, read_outbox))
        yield Application(
            SERVICE_NAMES,
            register,
            verifier,
            listener.wind_down,
            needs,
            (*stored, measured),
            notes.hear,
            looks,
            requests=requests,
        )


def ingestion_limits(settings: Settings) -> Limits:
    """What the settings allow a file."""
    return Limits(
        formats=frozenset(settings.supported_file_types),
        max_columns=settings.max_columns,
        max_unpacked_bytes=settings.max_unpacked_bytes,
        max_unpack_ratio=settings.max_unpack_ratio,
        memory_bytes=settings.ingestion_memory_bytes,
    )


@asynccontextmanager
async def _ingesting(
    settings: Settings, database: Database, ingestor: Ingestor, stopping: asyncio.Event
) -> AsyncIterator[None]:
    """Reads files in while the block runs; at its end gives back what it has."""
    consumer = asyncio.create_task(
        QUEUE.consume(
            database.dsn,
            ingestor.handle,
            slots=settings.ingestion_slots,
            heartbeat_s=settings.ingestion_heartbeat_seconds,
            stop=stopping,
        ),
        name="ingestion",
    )
    try:
        yield
    finally:
        stopping.set()
        await consumer


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
