"""`python -m services.generation.worker`: takes jobs from the queue and trains. Never imports torch itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.clients import ServiceIdentity, open_channel, peer_channel
from servicekit.database import Database
from servicekit.listen import Listener
from servicekit.metrics.exposition import exposed
from servicekit.metrics.stored import PoolMetrics
from servicekit.object_store import ObjectStore
from servicekit.readiness import Readiness
from servicekit.server import stop_on_signals, telling
from servicekit.settings import load
from servicekit.sweeping import Sweeper, keep_sweeping
from servicekit.workspace import Workspace, open_workspace
from services.generation import events, housekeeping
from services.generation.dispatch import QUEUE, Dispatcher
from services.generation.metrics import ChildMemory, TrainingMetrics
from services.generation.repository import LOOSE_OBJECTS
from services.generation.settings import WorkerSettings
from services.generation.sources import SourceClient
from services.generation.storage import NAMED
from services.generation.training.memory import default_memory_limit_mb
from services.generation.training.runner import TrainingFailed, TrainingRunner
from services.generation.work import JobWorker, WorkLimits

log = structlog.get_logger(__name__)

_TIDY_EVERY_S = 60.0


@dataclass(frozen=True)
class Parts:
    """What a worker is made of."""

    job_worker: JobWorker
    sessions: async_sessionmaker[AsyncSession]
    dispatcher: Dispatcher
    store: ObjectStore
    workspace: Workspace
    dsn: str
    readiness: Readiness
    metrics: Sequence[Collector]


@asynccontextmanager
async def compose(
    settings: WorkerSettings, stopping: asyncio.Event, workspace_parent: Path | None = None
) -> AsyncIterator[Parts]:
    """Wires a worker; what is opened is closed at the end, in reverse order."""
    async with AsyncExitStack() as stack:
        database = Database.from_settings(settings)
        stack.push_async_callback(database.close)
        listener = await stack.enter_async_context(Listener(database.dsn, events.CHANNEL))
        tls = settings.internal_tls
        auth = await stack.enter_async_context(open_channel(settings.auth_address, tls))
        identity = ServiceIdentity(auth, settings)
        datasets = await stack.enter_async_context(peer_channel(settings.dataset_address, tls, identity))
        store = ObjectStore(settings, "generation")
        await store.ensure_bucket()
        runner = TrainingRunner()
        stack.push_async_callback(runner.close)
        warming = asyncio.create_task(_warm_up(runner))
        stack.callback(warming.cancel)
        dispatcher = Dispatcher(settings.max_concurrent_generations)
        workspace = stack.enter_context(open_workspace(workspace_parent))
        memory_mb = settings.training_memory_limit_mb or default_memory_limit_mb(settings.worker_slots)
        trainings = TrainingMetrics(settings.worker_slots)
        job_worker = JobWorker(
            sessions=database.sessions,
            listener=listener,
            store=store,
            sources=SourceClient(datasets),
            runner=runner,
            dispatcher=dispatcher,
            workspace=workspace,
            limits=WorkLimits(
                time_s=settings.request_timeout_seconds,
                memory_mb=memory_mb,
                max_workers_lost=settings.worker_max_losses,
            ),
            stopping=stopping,
            metrics=trainings,
        )
        readiness = Readiness({"database": database.check, "object store": store.check})
        measured = (
            trainings,
            ChildMemory(runner, memory_mb),
            PoolMetrics(database.engine, settings.database_pool_size),
        )
        yield Parts(job_worker, database.sessions, dispatcher, store, workspace, database.dsn, readiness, measured)


async def _warm_up(runner: TrainingRunner) -> None:
    """Has the engines' libraries imported before the first job comes; a job that comes sooner waits for it."""
    try:
        await runner.start()
    except TrainingFailed as failure:
        log.warning("warm_up_failed", reason=failure.reason)


async def work(settings: WorkerSettings, stop: asyncio.Event, workspace_parent: Path | None = None) -> None:
    """Works until `stop`; then gives every running job back to the queue."""
    async with (
        compose(settings, stop, workspace_parent) as parts,
        exposed(settings, [parts.readiness, *parts.metrics]),
    ):
        sweeper = Sweeper(parts.sessions, parts.store, LOOSE_OBJECTS, NAMED)
        beside = {
            asyncio.create_task(parts.readiness.keep_looking()),
            asyncio.create_task(_keep_tidy(parts, settings.retention_days)),
            asyncio.create_task(keep_sweeping(sweeper, settings.sweep_interval_minutes * 60)),
        }
        log.info("serving", slots=settings.worker_slots)
        try:
            await QUEUE.consume(
                parts.dsn,
                parts.job_worker.handle,
                slots=settings.worker_slots,
                heartbeat_s=settings.worker_heartbeat_seconds,
                stop=stop,
            )
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
    log.info("stopped")


async def _keep_tidy(parts: Parts, retention_days: int) -> None:
    while True:
        try:
            await housekeeping.tidy(parts.sessions, parts.dispatcher, parts.store, retention_days)
            await asyncio.to_thread(parts.workspace.remove_abandoned)
        except Exception:  # the next time may go better; no job hangs on it
            log.exception("tidying_failed")
        await asyncio.sleep(_TIDY_EVERY_S)


async def _until_signal(settings: WorkerSettings) -> None:
    await work(settings, stop_on_signals())


def main() -> None:
    """Works until SIGTERM."""
    settings = load(WorkerSettings)
    with telling("generation-worker", settings):
        asyncio.run(_until_signal(settings))


if __name__ == "__main__":
    main()
