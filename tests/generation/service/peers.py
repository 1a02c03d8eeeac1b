"""The services that generation calls, small and by hand, but honest: real servers, real checks, real objects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc.aio
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from grpc import StatusCode

from mirage.dataset.v1 import dataset_pb2, source_pb2, source_pb2_grpc
from mirage.optimizer.v1 import study_pb2, study_pb2_grpc
from servicekit.errors import InvalidRequest, ServiceError, Unavailable, Violation
from servicekit.identity import caller
from servicekit.ids import new_id
from servicekit.object_store import ObjectStore
from servicekit.server import Application
from servicekit.timestamps import to_timestamp, utc_now
from tests.support.auth_peer import serving_peer
from tests.support.tokens import Tokens


class DatasetNotFound(ServiceError):
    """As the dataset service says it."""

    code, reason = StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"

    def __init__(self, dataset_id: str) -> None:
        super().__init__(f"Dataset {dataset_id} does not exist.", dataset_id=dataset_id)


@dataclass
class Shelved:
    """A dataset that the source service has."""

    dataset_id: UUID
    owner_id: UUID
    public: bool
    key: str
    source: source_pb2.Source


class SourcePeer(source_pb2_grpc.SourceServiceServicer):
    """Serves tables that tests put in, from the real object store, to whom they belong."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._shelf: dict[str, Shelved] = {}
        self.reads = 0

    async def add(
        self,
        owner_id: UUID,
        table: pa.Table,
        types: dict[str, str],
        roles: dict[str, str] | None = None,
        *,
        public: bool = False,
        personal: dict[str, tuple[str, str]] | None = None,
    ) -> str:
        """Puts a table in; returns the dataset's id. `personal` are columns with kind and locale of personal data."""
        nothing = ("", "")
        dataset_id = new_id()
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        key = f"{owner_id}/{dataset_id}.parquet"
        stored = await self._store.put_bytes(key, sink.getvalue().to_pybytes())
        source = source_pb2.Source(
            dataset_id=str(dataset_id),
            version=1,
            dataset_name="people",
            columns=[
                dataset_pb2.Column(
                    name=name,
                    type=types[name],
                    role=(roles or {}).get(name, "feature"),
                    personal_data=(personal or {}).get(name, nothing)[0],
                    personal_data_locale=(personal or {}).get(name, nothing)[1],
                )
                for name in table.column_names
            ],
            row_count=len(table),
            table_bytes=stored.size,
            table_sha256=stored.sha256,
            facts=[
                source_pb2.ColumnFacts(
                    distinct_count=pc.count_distinct(column, mode="only_valid").as_py(),
                    missing_count=column.null_count,
                )
                for column in table.columns
            ],
        )
        self._shelf[str(dataset_id)] = Shelved(dataset_id, owner_id, public, key, source)
        return str(dataset_id)

    async def replace(self, dataset_id: str, content: bytes) -> None:
        """Puts other bytes where a table was, without telling."""
        await self._store.put_bytes(self._shelf[dataset_id].key, content)

    def remove(self, dataset_id: str) -> None:
        """Forgets a dataset."""
        del self._shelf[dataset_id]

    async def GetSource(self, request: source_pb2.GetSourceRequest, context: Any) -> source_pb2.Source:
        """Where the table is, for those who may read it."""
        assert caller().subject == "generation"
        self.reads += 1
        shelved = self._shelf.get(request.dataset_id)
        if shelved is None or not (shelved.public or str(shelved.owner_id) == request.user_id) or request.version > 1:
            raise DatasetNotFound(request.dataset_id)
        source = source_pb2.Source()
        source.CopyFrom(shelved.source)
        source.table_url = await self._store.presigned_get(shelved.key, 600)
        source.expire_time.CopyFrom(to_timestamp(utc_now()))
        return source

    async def GetStorageUsage(
        self, request: source_pb2.GetStorageUsageRequest, context: Any
    ) -> source_pb2.StorageUsage:
        """What the tables of an owner take."""
        assert caller().subject == "generation"
        mine = (each for each in self._shelf.values() if str(each.owner_id) == request.owner_id)
        return source_pb2.StorageUsage(bytes=sum(each.source.table_bytes for each in mine))


@asynccontextmanager
async def serving_sources(peer: SourcePeer, tokens: Tokens) -> AsyncIterator[str]:
    """Serves the dataset service's part; yields the address."""

    def register(server: grpc.aio.Server) -> None:
        source_pb2_grpc.add_SourceServiceServicer_to_server(peer, server)

    async with serving_peer(Application(("mirage.dataset.v1.SourceService",), register, tokens.verifier)) as address:
        yield address


@dataclass
class PeerStudy:
    """A study of the optimizer's."""

    study: study_pb2.Study
    request: study_pb2.StartStudyRequest
    events: list[study_pb2.StudyEvent] = field(default_factory=list)


class StudyNotFound(ServiceError):
    """As the optimizer says it."""

    code, reason = StatusCode.NOT_FOUND, "STUDY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no such study.")


class StudyPeer(study_pb2_grpc.StudyOrderServiceServicer):
    """The optimizer's part: studies that go as tests say, over the real contract."""

    def __init__(self) -> None:
        self.studies: dict[str, PeerStudy] = {}  # by the job that has ordered it
        self.away = False
        self.refusals: list[Violation] = []
        self.asked_for_a_study, self.orders_go_on = asyncio.Event(), asyncio.Event()
        self.orders_go_on.set()
        self._changed = asyncio.Condition()

    async def CheckStudy(self, request: study_pb2.CheckStudyRequest, context: Any) -> study_pb2.CheckedStudy:
        """Refuses what tests say is wrong."""
        self._answer()
        if self.refusals:
            raise InvalidRequest(self.refusals)
        return study_pb2.CheckedStudy(n_trials=request.study.n_trials, notes=["All of it is searched."])

    async def OrderStudy(self, request: study_pb2.OrderStudyRequest, context: Any) -> study_pb2.Study:
        """Starts a job's study, once."""
        self._answer()
        self.asked_for_a_study.set()
        await self.orders_go_on.wait()
        if request.job_id not in self.studies:
            study = study_pb2.Study(
                study_id=str(new_id()),
                job_id=request.job_id,
                n_trials=request.study.n_trials,
                optimization_metric="quality_score",
                state=study_pb2.STUDY_STATE_RUNNING,
            )
            self.studies[request.job_id] = PeerStudy(study, request.study)
        return self.studies[request.job_id].study

    async def WatchOrderedStudy(
        self, request: study_pb2.WatchOrderedStudyRequest, context: Any
    ) -> AsyncIterator[study_pb2.StudyEvent]:
        """Streams what tests tell."""
        self._answer()
        told = self._of(request.study_id)
        sent = int(request.resume_token or 0)
        while True:
            for event in told.events[sent:]:
                sent += 1
                yield event
                if event.state != study_pb2.STUDY_STATE_RUNNING:
                    return
            async with self._changed:
                await self._changed.wait_for(lambda: self.away or len(told.events) > sent)  # noqa: B023 - at once
            self._answer()

    async def StopOrderedStudy(self, request: study_pb2.StopOrderedStudyRequest, context: Any) -> study_pb2.Study:
        """Stops a study that hasn't ended."""
        self._answer()
        if not request.study_id and request.job_id not in self.studies:
            raise StudyNotFound
        told = self._of(request.study_id) if request.study_id else self.studies[request.job_id]
        if told.study.state == study_pb2.STUDY_STATE_RUNNING:
            await self.tell(told.study.job_id, "state", state=study_pb2.STUDY_STATE_STOPPED)
        return told.study

    async def ListDependentStudies(
        self, request: study_pb2.ListDependentStudiesRequest, context: Any
    ) -> study_pb2.DependentStudies:
        """Nobody here asks for that."""
        raise NotImplementedError

    async def DeleteDependentStudies(
        self, request: study_pb2.DeleteDependentStudiesRequest, context: Any
    ) -> study_pb2.DependentStudies:
        """Nobody here asks for that."""
        raise NotImplementedError

    async def tell(self, job_id: str, kind: str, **fields: Any) -> None:
        """Adds an event to a job's study."""
        told = self.studies[job_id]
        told.study.state = fields.pop("state", told.study.state)
        number = len(told.events) + 1
        told.events.append(
            study_pb2.StudyEvent(
                study_id=told.study.study_id,
                sequence=number,
                resume_token=str(number),
                kind=kind,
                state=told.study.state,
                n_trials=told.study.n_trials,
                **fields,
            )
        )
        await self._announce()

    async def leave(self, away: bool = True) -> None:
        """Goes away, or comes back."""
        self.away = away
        await self._announce()

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _answer(self) -> None:
        assert caller().subject == "generation"
        if self.away:
            raise Unavailable("optimizer")

    def _of(self, study_id: str) -> PeerStudy:
        return next(each for each in self.studies.values() if each.study.study_id == study_id)


@asynccontextmanager
async def serving_studies(peer: StudyPeer, tokens: Tokens) -> AsyncIterator[str]:
    """Serves the optimizer service's part; yields the address."""

    def register(server: grpc.aio.Server) -> None:
        study_pb2_grpc.add_StudyOrderServiceServicer_to_server(peer, server)

    application = Application(("mirage.optimizer.v1.StudyOrderService",), register, tokens.verifier)
    async with serving_peer(application) as address:
        yield address
