"""The generation service's composition root: everything is wired here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio

from mirage.generation.v1 import job_pb2_grpc, model_pb2_grpc, quality_pb2_grpc, trial_pb2_grpc
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
from servicekit.point_reads import PointReads
from servicekit.queue_health import queue_look, workers_look
from servicekit.quota import StorageQuota
from servicekit.request_telling import counted_requests
from servicekit.revocations import followed_revocations
from servicekit.security_notes import SecurityNotes
from servicekit.server import Application
from services.generation import convert, events, metrics
from services.generation.dispatch import QUEUE, Dispatcher
from services.generation.drawing import PageDrawer
from services.generation.engines.parameters import Limits
from services.generation.evaluations import Evaluator
from services.generation.holdings import Holdings
from services.generation.jobs import ApprovalRule
from services.generation.planning import Planner
from services.generation.requests import RequestLimits
from services.generation.sampling import Sampler
from services.generation.search_following import SearchFollower
from services.generation.servicers.administration import JobAdministrationServicer
from services.generation.servicers.dependents import DependentServicer
from services.generation.servicers.jobs import JobServicer
from services.generation.servicers.models import ModelServicer
from services.generation.servicers.quality import QualityServicer
from services.generation.servicers.trials import TrialServicer
from services.generation.servicers.workload import WorkloadServicer
from services.generation.settings import Settings
from services.generation.slots import Slots
from services.generation.sources import SourceClient
from services.generation.storage import stored_bytes
from services.generation.study_client import StudyClient
from services.generation.training.memory import default_memory_limit_mb
from services.generation.training.runner import TrainingRunner
from services.generation.workforce import keep_watching

SERVICE_NAMES = (
    "mirage.generation.v1.DependentService",
    "mirage.generation.v1.JobAdministrationService",
    "mirage.generation.v1.JobService",
    "mirage.generation.v1.ModelService",
    "mirage.generation.v1.QualityService",
    "mirage.generation.v1.TrialService",
    holdings.SERVICE_NAME,
    "mirage.generation.v1.WorkloadService",
)


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Application]:
    """What the server serves; what it opens is closed at the end, in reverse order."""
    async with AsyncExitStack() as stack:
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        sessions = database.sessions
        reads = await stack.enter_async_context(PointReads.from_settings(settings))
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
        datasets = await stack.enter_async_context(peer_channel(settings.dataset_address, tls, identity))
        store = ObjectStore(settings, "generation")
        await store.ensure_bucket()
        runner = TrainingRunner()
        stack.push_async_callback(runner.close)
        limits = request_limits(settings)
        dispatcher = Dispatcher(settings.max_concurrent_generations)
        sources = SourceClient(datasets)
        slots = Slots(settings.worker_slots)
        time_limit_s = settings.request_timeout_seconds
        memory_limit_mb = settings.training_memory_limit_mb or default_memory_limit_mb(settings.worker_slots)
        sampler = Sampler(store, runner, slots=slots, time_limit_s=time_limit_s, memory_limit_mb=memory_limit_mb)
        evaluator = Evaluator(
            sessions, sources, store, runner, slots, time_limit_s=time_limit_s, memory_limit_mb=memory_limit_mb
        )
        studies = None
        if settings.optimizer_address:
            optimizer = await stack.enter_async_context(peer_channel(settings.optimizer_address, tls, identity))
            studies = StudyClient(optimizer, identity)
            await stack.enter_async_context(
                _following(settings, database, listener, dispatcher, studies, limits.epochs)
            )
        planner = Planner(sources, limits, studies)
        approval = ApprovalRule(settings.require_approval, settings.auto_approve_below_rows)
        jobs = JobServicer(
            sessions,
            reads,
            planner,
            dispatcher,
            approval,
            StorageQuota(settings.storage_quota_mb, stored_bytes, sources.stored_bytes),
            listener,
            store,
            convert.configuration_to_proto(limits, settings),
            settings.stream_heartbeat_seconds,
        )
        quality = QualityServicer(sessions, evaluator, PageDrawer(settings.worker_slots))
        trials = TrialServicer(
            sessions,
            Planner(sources, limits),  # a trial is part of a search and has none of its own
            dispatcher,
            approval,
            listener,
            store,
            limits,
            settings.stream_heartbeat_seconds,
        )

        watching = asyncio.create_task(keep_watching(sessions))
        stack.callback(watching.cancel)

        def register(server: grpc.aio.Server) -> None:
            job_pb2_grpc.add_JobServiceServicer_to_server(jobs, server)
            job_pb2_grpc.add_JobAdministrationServiceServicer_to_server(
                JobAdministrationServicer(sessions, dispatcher), server
            )
            job_pb2_grpc.add_DependentServiceServicer_to_server(DependentServicer(sessions, dispatcher, store), server)
            model_pb2_grpc.add_ModelServiceServicer_to_server(
                ModelServicer(sessions, store, sampler, limits, approval), server
            )
            quality_pb2_grpc.add_QualityServiceServicer_to_server(quality, server)
            trial_pb2_grpc.add_TrialServiceServicer_to_server(trials, server)
            held = Holdings(sessions, dispatcher, store)
            holding_pb2_grpc.add_HoldingServiceServicer_to_server(HoldingServicer(held.sections, held.delete), server)
            job_pb2_grpc.add_WorkloadServiceServicer_to_server(WorkloadServicer(sessions), server)

        needs = {"database": database.check, "object store": store.check}
        stored = await stack.enter_async_context(
            database_metrics(
                settings, database, metrics.read_jobs, metrics.read_queues, metrics.read_workers, read_outbox
            )
        )
        looks = {"queue": queue_look(sessions, QUEUE), "workers": workers_look(sessions, QUEUE)}
        measured = (*stored, metrics.ChildMemory(runner, memory_limit_mb))
        yield Application(
            SERVICE_NAMES, register, verifier, listener.wind_down, needs, measured, notes.hear, looks, requests=requests
        )


@asynccontextmanager
async def _following(
    settings: Settings,
    database: Database,
    listener: Listener,
    dispatcher: Dispatcher,
    studies: StudyClient,
    limits: Limits,
) -> AsyncIterator[None]:
    """Follows jobs' studies while the block runs; then leaves those that haven't ended to others."""
    stopping = asyncio.Event()
    follower = SearchFollower(database.sessions, listener, dispatcher, studies, limits, stopping)
    consuming = asyncio.create_task(follower.consume(database.dsn, settings.study_heartbeat_seconds))
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait({consuming})


def request_limits(settings: Settings) -> RequestLimits:
    """What the settings allow a request."""
    return RequestLimits(
        minimum_sample_size=settings.min_sample_size,
        maximum_sample_size=settings.max_sample_size,
        default_sample_size=settings.default_sample_size,
        epochs=Limits(
            minimum_epochs=settings.min_epochs,
            maximum_epochs=settings.max_epochs,
            default_epochs=settings.default_epochs,
        ),
    )
