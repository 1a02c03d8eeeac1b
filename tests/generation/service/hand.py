"""A worker's hand: takes jobs from the real queue and speaks a worker's words, without training anything."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq
from grpc import StatusCode
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.models import Job as QueueRow
from pgqueuer.ports.repository import EntrypointExecutionParameter

from servicekit import queue
from servicekit.failures import Failure
from servicekit.timestamps import utc_now
from services.generation import attempts
from services.generation.attempts import Attempt, Result
from services.generation.dispatch import QUEUE, Dispatcher
from services.generation.engines.protocol import Progress, Stage
from services.generation.judgement import Judgement
from services.generation.models import Job
from services.generation.states import Purpose
from tests.generation.service.platform import Platform, people

UNJUDGED = Judgement.none("Nobody has looked at it.", 0.0)


class Hand:
    """Does what a worker does, one word at a time."""

    def __init__(self, platform: Platform, connection: asyncpg.Connection, heartbeat_s: float) -> None:
        self._platform = platform
        self._sessions = platform.database.sessions
        self._queries = QUEUE._queries(AsyncpgDriver(connection), queue._ConsumerQueries)
        self._heartbeat = timedelta(seconds=heartbeat_s)
        self._id = QueueManagerId(uuid4())
        self.dispatcher = Dispatcher(platform.settings.max_concurrent_generations)
        self.rows: dict[UUID, QueueRow] = {}

    async def rows_waiting(self, limit: int = 1) -> list[QueueRow]:
        """Takes rows from the queue."""
        return await self._queries.dequeue(
            batch_size=limit,
            entrypoints={QueueEntrypoint(QUEUE._entrypoint): EntrypointExecutionParameter(concurrency_limit=0)},
            queue_manager_id=self._id,
            global_concurrency_limit=None,
            heartbeat_timeout=self._heartbeat,
        )

    async def claim(self, row: QueueRow, max_workers_lost: int = 3) -> Job | None:
        """Takes up the job of a row."""
        job_id = UUID((row.payload or b"").decode())
        async with self._sessions.begin() as session:
            return await attempts.claim(session, self.dispatcher, job_id, row.id, max_workers_lost)

    async def take(self) -> Attempt:
        """Takes up the next job, which must be there."""
        [row] = await self.rows_waiting()
        job = await self.claim(row)
        assert job is not None
        self.rows[job.id] = row
        return Attempt(job.id, job.attempts)

    async def take_when_there(self) -> Attempt:
        """Takes up the next job as soon as there is one."""
        async with asyncio.timeout(60):
            while not (rows := await self.rows_waiting()):  # noqa: ASYNC110 - what is waited for is in other processes
                await asyncio.sleep(0.02)
        job = await self.claim(rows[0])
        assert job is not None
        self.rows[job.id] = rows[0]
        return Attempt(job.id, job.attempts)

    async def report(self, attempt: Attempt, stage: Stage, **details: Any) -> None:
        """Tells how far the work is."""
        async with self._sessions.begin() as session:
            await attempts.report(session, self.dispatcher, attempt, Progress(stage, **details))

    async def fail(self, attempt: Attempt, reason: str = "TRAINING_CRASHED") -> None:
        """Ends the job badly."""
        failure = Failure(StatusCode.INTERNAL, reason, "It didn't work.")
        async with self._sessions.begin() as session:
            await attempts.fail(session, self.dispatcher, attempt, failure)
        await self._release(attempt)

    async def give_back(self, attempt: Attempt) -> None:
        """Puts the job back."""
        async with self._sessions.begin() as session:
            await attempts.give_back(session, self.dispatcher, attempt)
        await self._release(attempt)

    async def succeed(self, attempt: Attempt, table: pa.Table | None = None, judgement: Judgement = UNJUDGED) -> None:
        """Ends the job well, with a table (a trial's aside) and a model that are really stored."""
        table = table or people(10, seed=9)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        async with self._sessions.begin() as session:
            job = await session.get_one(Job, attempt.job_id)
        is_trial = job.purpose is Purpose.TRIAL
        folder = f"{job.owner_id}/{attempt.job_id}/{attempt.number}"
        model_key, table_key = f"{folder}/model.zip", None if is_trial else f"{folder}/synthetic.parquet"
        keys = [key for key in (model_key, table_key) if key]
        async with self._sessions.begin() as session:
            await attempts.reserve(session, attempt, keys, utc_now() + timedelta(days=1))
        content = sink.getvalue().to_pybytes()
        if table_key:
            await self._platform.store.put_bytes(table_key, content)
        stored_model = await self._platform.store.put_bytes(model_key, b"a model of nothing")
        result = Result(
            table_key=table_key,
            table_sha256=hashlib.sha256(content).hexdigest(),
            table_bytes=len(content),
            rows=len(table),
            model_key=model_key,
            model_sha256=stored_model.sha256,
            model_bytes=stored_model.size,
            training_rows=100,
            training_seconds=1.5,
            columns=tuple(table.column_names),
            details={"versions": {"mirage": "test"}},
            judgement=judgement,
        )
        async with self._sessions.begin() as session:
            await attempts.succeed(session, self.dispatcher, attempt, result)
        await self._release(attempt)

    async def _release(self, attempt: Attempt) -> None:
        await self._queries.log_jobs([(self.rows[attempt.job_id], "successful", None)])


@asynccontextmanager
async def a_hand(platform: Platform, heartbeat_s: float = 30.0) -> AsyncIterator[Hand]:
    """A hand of its own, with its own place in the queue."""
    connection = await asyncpg.connect(platform.database.dsn)
    try:
        yield Hand(platform, connection, heartbeat_s)
    finally:
        await connection.close()
