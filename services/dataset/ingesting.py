"""Versions are taken from the queue and read in: fetched, made a table, stored; or failed, or given back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pgqueuer.models import Job as QueueRow
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import tracing
from servicekit.attending import Attendant, Ending, Piece
from servicekit.errors import Unavailable
from servicekit.ids import new_id
from servicekit.listen import Listener
from servicekit.object_store import ObjectStore
from servicekit.patience import patiently
from servicekit.timestamps import utc_now
from servicekit.workspace import Workspace
from services.dataset import attempts, events, repository
from services.dataset.attempts import Attempt, Result
from services.dataset.columns import Column
from services.dataset.failures import failure_from
from services.dataset.ingestion.tasks import Limits, Outcome, Report, Task
from services.dataset.inheritance import inherit, types_by_hand
from services.dataset.metrics import UploadMetrics
from services.dataset.models import Version, loose_objects
from services.dataset.states import Stage
from services.dataset.work_queue import Ticket

log = structlog.get_logger(__name__)

# Tables that have not come to be a version's by then never will.
_TABLES_KEPT = timedelta(days=1)
_SHORTEST_PAUSE_S = 0.5  # between two reports of the same stage
_STORING_AT = 0.9  # how much is done when the table is made

Ingest = Callable[[Task, Report], Awaitable[Outcome]]


@dataclass(frozen=True)
class IngestionRules:
    """What one file may take."""

    limits: Limits
    max_losses: int


class Ingestor:
    """Reads versions in. `stopping` makes it give back what it has."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        listener: Listener,
        store: ObjectStore,
        ingest: Ingest,
        workspace: Workspace,
        rules: IngestionRules,
        stopping: asyncio.Event,
        metrics: UploadMetrics,
    ) -> None:
        self._sessions = sessions
        self._metrics = metrics
        self._attendant = Attendant(sessions, listener, events.CHANNEL, stopping)
        self._store = store
        self._ingest = ingest
        self._workspace = workspace
        self._rules = rules

    async def handle(self, row: QueueRow) -> None:
        """Reads the version in that a row of the queue names; raises only if the database stays away."""
        ticket = Ticket.from_bytes(row.payload or b"")
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(dataset_id=str(ticket.dataset_id), version=ticket.version)
        async with self._sessions.begin() as session:
            view = await attempts.claim(session, ticket, row.id, self._rules.max_losses)
        if view is None:
            log.info("row_dropped", queue_id=row.id)
            return
        version = view.version
        structlog.contextvars.bind_contextvars(request_id=version.request_id, user_id=str(view.dataset.owner_id))
        attempt = Attempt(version.dataset_id, version.number, version.attempts)
        attributes: tracing.Attributes = {
            "mirage.dataset_id": str(attempt.dataset_id),
            "mirage.version": attempt.version,
        }
        with tracing.resuming("read file in", version.traceparent, row.created, attributes) as span:
            log.info("ingestion_begun", attempt=version.attempts)
            began = time.monotonic()
            ending = await self._attendant.attend(self._piece(version, attempt))
            self._metrics.seconds.labels(ending.value).observe(time.monotonic() - began)
            span.set("mirage.ending", ending.value)
            log.info("ingestion_ended", ending=ending.value)
        if ending is Ending.CALLED_OFF:
            await loose_objects.remove_due(self._sessions, self._store)

    def _piece(self, version: Version, attempt: Attempt) -> Piece:
        async def fail(session: AsyncSession, error: Exception) -> None:
            failure = failure_from(error)
            tracing.current().fail(failure.reason)
            await attempts.fail(session, attempt, failure)
            log.warning("ingestion_failed", reason=failure.reason)

        return Piece(
            key=str(attempt.dataset_id),
            work=lambda: self._work(version, attempt),
            counts=lambda session: repository.attempt_counts(session, *attempt),
            fail=fail,
            give_back=lambda session: attempts.give_back(session, attempt),
        )

    async def _work(self, version: Version, attempt: Attempt) -> None:
        with self._workspace.directory() as directory:
            source = directory / "source"
            await patiently(lambda: self._store.get_file(version.source_key, source), Unavailable)
            before = await self._columns_before(attempt)
            task = Task(
                source=source, directory=directory, limits=self._rules.limits, wished=types_by_hand(before or ())
            )
            teller = _Teller(lambda *progress: self._report(attempt, *progress))
            with tracing.stages() as stages:

                def report(stage: str, share: float, rows_read: int) -> None:
                    stages.enter(stage)
                    teller(stage, share, rows_read)

                outcome = await teller.telling(self._ingest(task, report))
            await self._report(attempt, Stage.STORING, _STORING_AT, outcome.row_count)
            result = await self._store_table(version, attempt, outcome, before)
            await self._attendant.conclude(lambda session: attempts.succeed(session, attempt, result))

    async def _columns_before(self, attempt: Attempt) -> tuple[Column, ...] | None:
        """The columns of the latest ready version before this one; None if there is none."""
        async with self._sessions() as session:
            before = await repository.latest_ready(session, attempt.dataset_id, before=attempt.version)
        return tuple(Column.model_validate(column) for column in before.columns) if before else None

    async def _store_table(
        self, version: Version, attempt: Attempt, outcome: Outcome, before: tuple[Column, ...] | None
    ) -> Result:
        key = table_key(version)
        due_at = utc_now() + _TABLES_KEPT
        await self._attendant.say(lambda session: attempts.reserve(session, attempt, key, due_at))
        stored = await patiently(lambda: self._store.put_file(key, outcome.table), Unavailable)
        inherited = inherit(before, outcome.columns, outcome.profile) if before else None
        return Result(
            source_format=outcome.source_format,
            table_key=key,
            table_bytes=stored.size,
            table_sha256=stored.sha256,
            row_count=outcome.row_count,
            columns=inherited.columns if inherited else outcome.columns,
            warnings=(*outcome.notes, *(inherited.warnings if inherited else ())),
            profile=outcome.profile,
            personal_data=outcome.personal_data,
        )

    async def _report(self, attempt: Attempt, stage: Stage, progress: float, rows_read: int) -> None:
        """Tells the dataset's followers."""
        await self._attendant.mention(lambda session: attempts.report(session, attempt, stage, progress, rows_read))


def table_key(version: Version) -> str:
    """A new key for a table of a version, beside the version's file."""
    return f"{version.source_key.rpartition('/')[0]}/{new_id()}.parquet"


class _Teller:
    """Passes on what an ingestion reports, from whatever thread: a new stage at once, else twice a second at most."""

    def __init__(self, tell: Callable[[Stage, float, int], Awaitable[None]]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._reports: asyncio.Queue[tuple[Stage, float, int] | None] = asyncio.Queue()
        self._stage: str | None = None
        self._told_at = float("-inf")

    def __call__(self, stage: str, share: float, rows_read: int) -> None:
        now = time.monotonic()
        if stage == self._stage and now - self._told_at < _SHORTEST_PAUSE_S:
            return
        self._stage, self._told_at = stage, now
        report = (Stage(stage), min(share, _STORING_AT), rows_read)
        self._loop.call_soon_threadsafe(self._reports.put_nowait, report)

    async def telling(self, work: Awaitable[Outcome]) -> Outcome:
        """Does the work and tells how it goes; ends it if what is told is refused."""
        ingestion = asyncio.ensure_future(work)
        ingestion.add_done_callback(lambda _: self._reports.put_nowait(None))
        try:
            while (report := await self._reports.get()) is not None:
                await self._tell(*report)
            return await ingestion
        finally:
            ingestion.cancel()
            await asyncio.gather(ingestion, return_exceptions=True)
