"""A small platform on a real gRPC server: enough of its services to see how the client behaves, faults on demand."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import grpc.aio
import pyarrow as pa
from google.api.httpbody_pb2 import HttpBody
from google.rpc import status_pb2
from pyarrow import parquet

from mirage.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    api_key_pb2,
    api_key_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
)
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.access import Role
from servicekit.errors import InvalidRequest, ServiceError, Unauthenticated, Unavailable, Violation
from servicekit.identity import Caller, TokenKind
from servicekit.server import Application, running
from servicekit.settings import ServiceSettings
from tests.support.servers import NO_DATABASE

USER_ID = UUID("00000000-0000-7000-8000-000000000001")
EMAIL = "ada@example.org"
PASSWORD = "correct horse battery"
API_KEY = "mirage_ak_of-a-program"
LASTING_S = 1800


async def _not_needed(servicer: Any, request: Any, context: Any) -> Any:
    raise NotImplementedError


NOT_NEEDED: Any = _not_needed  # in place of methods that no test calls


class NoSuchJob(ServiceError):
    """There is no such job."""

    code, reason = grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"


@dataclass
class Faults:
    """What is to go wrong."""

    expires_in: int = LASTING_S
    """Seconds that access tokens say they last."""
    break_watch_after: list[int] = field(default_factory=list)
    """After the event of this number the stream breaks; each once."""
    end_watch_after: list[int] = field(default_factory=list)
    """After the event of this number the stream ends as if nothing were wrong; each once."""
    refuse_watch_after: list[int] = field(default_factory=list)
    """After the event of this number the token is no longer good; each once."""
    watch_unavailable: int = 0
    """How many times WatchJob can't be answered."""
    get_me_unavailable: int = 0
    """How many times GetMe can't be answered."""
    slow_refresh: asyncio.Event | None = None
    """What a refresh waits for, after it has taken the old token."""


@dataclass
class SmallPlatform:
    """What the servers know, and what they saw."""

    address: str = ""
    faults: Faults = field(default_factory=Faults)
    good_tokens: set[str] = field(default_factory=set)
    live_refresh_tokens: set[str] = field(default_factory=set)
    refreshes: int = 0
    exchanges: int = 0
    """How many times the API key was traded for a token."""
    refreshing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a refresh has taken a token."""
    reuses: int = 0
    get_me_calls: int = 0
    events: list[job_pb2.JobEvent] = field(default_factory=list)
    more_events: asyncio.Event = field(default_factory=asyncio.Event)
    watches: list[str] = field(default_factory=list)
    """The resume tokens of the watches so far."""
    watching: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody watches."""
    wanted: list[job_pb2.StartJobRequest] = field(default_factory=list)
    """The jobs that were asked for."""
    uploads: list["ReceivedUpload"] = field(default_factory=list)
    receiving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an upload called `wait` arrives."""

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{self.address}"

    async def authenticate(self, token: str, kind: TokenKind = TokenKind.ACCESS) -> Caller:
        """For the server's interceptor."""
        if kind is not TokenKind.ACCESS or token not in self.good_tokens:
            raise Unauthenticated("The access token has expired. Renew it with the refresh token.")
        return Caller(subject=str(USER_ID), role=Role.USER, token=token)

    def until_revoked(self, _current: Caller, _revoked: Callable[[], None], /) -> AbstractContextManager[None]:
        """For the server's interceptor; nothing is revoked under way."""
        return nullcontext()

    def new_pair(self) -> session_pb2.TokenPair:
        """Makes tokens."""
        pair = session_pb2.TokenPair(
            access_token=uuid4().hex, refresh_token=uuid4().hex, token_type="Bearer", expires_in=self.faults.expires_in
        )
        self.good_tokens.add(pair.access_token)
        self.live_refresh_tokens.add(pair.refresh_token)
        return pair

    def add_events(self, count: int, *, last: bool) -> None:
        """Lets the job go on by so many events; the last one ends it well."""
        for number in range(len(self.events) + 1, len(self.events) + count + 1):
            self.events.append(
                job_pb2.JobEvent(
                    job_id="job",
                    sequence=number,
                    resume_token=f"after-{number}",
                    kind="progress",
                    state=job_pb2.JOB_STATE_TRAINING,
                    progress=number / 100,
                )
            )
        if last:
            self.events[-1].state = job_pb2.JOB_STATE_SUCCEEDED
        self.more_events.set()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["SmallPlatform"]:
        """Serves while the block runs, and breaks every connection at its end."""
        settings = ServiceSettings(database_url=NO_DATABASE, shutdown_grace_seconds=0, grpc_port=port)
        async with running(settings, self._application()) as self.address:
            yield self

    @asynccontextmanager
    async def _application(self) -> AsyncIterator[Application]:
        def register(server: grpc.aio.Server) -> None:
            session_pb2_grpc.add_SessionServiceServicer_to_server(Sessions(self), server)
            api_key_pb2_grpc.add_ApiKeyServiceServicer_to_server(ApiKeys(self), server)
            account_pb2_grpc.add_AccountServiceServicer_to_server(Accounts(self), server)
            job_pb2_grpc.add_JobServiceServicer_to_server(Jobs(self), server)
            dataset_pb2_grpc.add_DatasetServiceServicer_to_server(Datasets(self), server)

        names = [
            "mirage.auth.v1.SessionService",
            "mirage.auth.v1.AccountService",
            "mirage.auth.v1.ApiKeyService",
            "mirage.generation.v1.JobService",
            "mirage.dataset.v1.DatasetService",
        ]
        yield Application(names, register, self)


class Sessions(session_pb2_grpc.SessionServiceServicer):
    """Signs in one account; refresh tokens are good for one use."""

    def __init__(self, platform: SmallPlatform) -> None:
        self._platform = platform

    async def Login(self, request: session_pb2.LoginRequest, context: Any) -> session_pb2.TokenPair:
        """Signs in."""
        if (request.email, request.password) != (EMAIL, PASSWORD):
            raise Unauthenticated("The e-mail address or the password is wrong.")
        return self._platform.new_pair()

    async def Refresh(self, request: session_pb2.RefreshRequest, context: Any) -> session_pb2.TokenPair:
        """Renews; a token that was used ends the session."""
        platform = self._platform
        if request.refresh_token not in platform.live_refresh_tokens:
            platform.reuses += 1
            platform.live_refresh_tokens.clear()
            raise Unauthenticated("The refresh token was used before.")
        platform.live_refresh_tokens.discard(request.refresh_token)
        platform.refreshes += 1
        platform.refreshing.set()
        if platform.faults.slow_refresh is not None:
            await platform.faults.slow_refresh.wait()
        return platform.new_pair()

    async def Logout(self, request: session_pb2.LogoutRequest, context: Any) -> session_pb2.LogoutResponse:
        """Ends the session."""
        self._platform.good_tokens.clear()
        self._platform.live_refresh_tokens.clear()
        return session_pb2.LogoutResponse(ended_sessions=1)

    async def Register(self, request: session_pb2.RegisterRequest, context: Any) -> account_pb2.User:
        """Refuses everything, with two wrong fields."""
        raise InvalidRequest([Violation("email", "is not an address"), Violation("password", "is too short")])

    ListSessions = DeleteSession = ChangePassword = NOT_NEEDED


_LATEST_EXPIRY = datetime(9000, 1, 1)  # noqa: DTZ001 - as a Timestamp gives it


class ApiKeys(api_key_pb2_grpc.ApiKeyServiceServicer):
    """Knows one key, and makes another."""

    def __init__(self, platform: SmallPlatform) -> None:
        self._platform = platform
        self._made: list[api_key_pb2.ApiKey] = []

    async def ExchangeApiKey(self, request: api_key_pb2.ExchangeApiKeyRequest, context: Any) -> api_key_pb2.ApiKeyToken:
        """Gives a token for the key."""
        if request.api_key != API_KEY:
            raise Unauthenticated("The API key is not valid: it is unknown, has expired or was deleted.")
        self._platform.exchanges += 1
        pair = self._platform.new_pair()
        return api_key_pb2.ApiKeyToken(
            access_token=pair.access_token, token_type="Bearer", expires_in=pair.expires_in, scope="account:read"
        )

    async def CreateApiKey(self, request: api_key_pb2.CreateApiKeyRequest, context: Any) -> api_key_pb2.ApiKey:
        """Makes a key of whatever is asked for, if it is not to last for ever."""
        if request.expire_time.ToDatetime() > _LATEST_EXPIRY:
            raise InvalidRequest([Violation("expire_time", f"must lie ahead, and not after {_LATEST_EXPIRY}")])
        key = api_key_pb2.ApiKey(
            key_id=f"key-{len(self._made)}", name=request.name, scopes=request.scopes, expire_time=request.expire_time
        )
        self._made.insert(0, key)
        shown = api_key_pb2.ApiKey(key=API_KEY)
        shown.MergeFrom(key)
        return shown

    async def ListApiKeys(
        self, request: api_key_pb2.ListApiKeysRequest, context: Any
    ) -> api_key_pb2.ListApiKeysResponse:
        """Those that were made."""
        return api_key_pb2.ListApiKeysResponse(api_keys=self._made)

    async def DeleteApiKey(
        self, request: api_key_pb2.DeleteApiKeyRequest, context: Any
    ) -> api_key_pb2.DeleteApiKeyResponse:
        """Forgets one."""
        self._made = [key for key in self._made if key.key_id != request.key_id]
        return api_key_pb2.DeleteApiKeyResponse()


class Accounts(account_pb2_grpc.AccountServiceServicer):
    """The account of whoever is signed in."""

    def __init__(self, platform: SmallPlatform) -> None:
        self._platform = platform

    async def GetMe(self, request: account_pb2.GetMeRequest, context: Any) -> account_pb2.User:
        """Returns the account."""
        self._platform.get_me_calls += 1
        if self._platform.faults.get_me_unavailable > 0:
            self._platform.faults.get_me_unavailable -= 1
            raise Unavailable("database")
        return account_pb2.User(user_id=str(USER_ID), email=EMAIL, role="user", state=account_pb2.USER_STATE_ACTIVE)

    async def UpdateMe(self, request: Any, context: Any) -> Any:
        """Fails in a way nobody thought of."""
        raise RuntimeError("a secret of the implementation")

    GetProfile = UpdateProfile = ExportAccount = DeleteAccount = NOT_NEEDED


class Jobs(job_pb2_grpc.JobServiceServicer):
    """One job, called `job`."""

    def __init__(self, platform: SmallPlatform) -> None:
        self._platform = platform

    async def GetJob(self, request: job_pb2.GetJobRequest, context: Any) -> job_pb2.Job:
        """Returns the job as its latest event tells it; `failed` is one that failed."""
        if request.job_id == "failed":
            error = status_pb2.Status(code=3, message="The table has no rows.")
            return job_pb2.Job(job_id="failed", state=job_pb2.JOB_STATE_FAILED, error=error)
        if request.job_id != "job":
            raise NoSuchJob(f"Job {request.job_id} does not exist.", job_id=request.job_id)
        latest = self._platform.events[-1]
        return job_pb2.Job(job_id="job", name="flights", state=latest.state, progress=latest.progress, sample_size=10)

    async def WatchJob(self, request: job_pb2.WatchJobRequest, context: Any) -> AsyncIterator[job_pb2.JobEvent]:
        """Yields events after the token, a heartbeat before each, and breaks where it is told to."""
        platform = self._platform
        if platform.faults.watch_unavailable > 0:
            platform.faults.watch_unavailable -= 1
            raise Unavailable("database")
        platform.watches.append(request.resume_token)
        platform.watching.set()
        if request.job_id == "failed":
            return
        position = int(request.resume_token.removeprefix("after-") or 0)
        while True:
            platform.more_events.clear()
            for event in platform.events[position:]:
                yield job_pb2.JobEvent(job_id="job", kind="heartbeat", state=event.state)
                yield event
                position = event.sequence
                if position in platform.faults.break_watch_after:
                    platform.faults.break_watch_after.remove(position)
                    raise Unavailable("generation service")
                if position in platform.faults.refuse_watch_after:
                    platform.faults.refuse_watch_after.remove(position)
                    platform.good_tokens.clear()
                    raise Unauthenticated
                if position in platform.faults.end_watch_after:
                    platform.faults.end_watch_after.remove(position)
                    return
            if platform.events and platform.events[-1].state == job_pb2.JOB_STATE_SUCCEEDED:
                return
            await platform.more_events.wait()

    async def DownloadTable(self, request: job_pb2.DownloadTableRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Sends a small table, in pieces; as `json` it breaks off."""
        if request.format == "json":
            yield HttpBody(data=b"[")
            raise Unavailable("object store")
        data = _parquet() if request.format == "parquet" else b"a,b\n1,x\n"
        for start in range(0, len(data), 100):
            yield HttpBody(data=data[start : start + 100])

    async def StartJob(self, request: job_pb2.StartJobRequest, context: Any) -> job_pb2.Job:
        """Refuses the parameters."""
        self._platform.wanted.append(request)
        raise InvalidRequest([Violation("model_config.epochs", "must be 1 to 500")])

    ValidateJob = ListJobs = CancelJob = GetTableDownloadUrl = GetJobMetadata = GetConfiguration = NOT_NEEDED


@dataclass
class ReceivedUpload:
    """What one upload brought."""

    opening: dataset_pb2.UploadDatasetRequest
    data: bytes
    largest_chunk: int


class Datasets(dataset_pb2_grpc.DatasetServiceServicer):
    """Takes uploads and keeps them in memory."""

    def __init__(self, platform: SmallPlatform) -> None:
        self._platform = platform

    async def UploadDataset(
        self, request_iterator: AsyncIterator[dataset_pb2.UploadDatasetRequest], context: Any
    ) -> dataset_pb2.Dataset:
        """Keeps what arrives; refuses what is called `too large`, and never answers what is called `wait`."""
        opening: dataset_pb2.UploadDatasetRequest | None = None
        chunks: list[bytes] = []
        async for request in request_iterator:
            opening = opening or request
            if opening.name == "too large":
                raise InvalidRequest([Violation("file", "is too large")])
            if opening.name == "wait":
                self._platform.receiving.set()
                await asyncio.Event().wait()
            chunks.append(request.body.data)
        assert opening is not None
        data = b"".join(chunks)
        assert hashlib.sha256(data).hexdigest() == opening.sha256
        self._platform.uploads.append(ReceivedUpload(opening, data, max(map(len, chunks))))
        return dataset_pb2.Dataset(
            dataset_id=str(uuid4()), name=opening.name, state=dataset_pb2.DATASET_STATE_PROCESSING
        )

    async def ListDatasets(
        self, request: dataset_pb2.ListDatasetsRequest, context: Any
    ) -> dataset_pb2.ListDatasetsResponse:
        """Lists 450 datasets, page by page; the name of the last two is the same."""
        start = int(request.page_token or 0)
        end = min(start + request.page_size, 450)
        return dataset_pb2.ListDatasetsResponse(
            datasets=list(_numbered(start, end)), next_page_token=str(end) if end < 450 else ""
        )

    async def GetDataset(self, request: dataset_pb2.GetDatasetRequest, context: Any) -> dataset_pb2.Dataset:
        """Returns a dataset of whatever id."""
        return dataset_pb2.Dataset(dataset_id=request.dataset_id, name=request.dataset_id)

    WatchDataset = UpdateDataset = DeleteDataset = ListRows = GetDatasetProfile = NOT_NEEDED
    CreateDatasetVersion = ListDatasetVersions = ExportDataset = GetDatasetDownloadUrl = NOT_NEEDED


def _numbered(start: int, end: int) -> Iterator[dataset_pb2.Dataset]:
    for number in range(start, end):
        yield dataset_pb2.Dataset(dataset_id=f"id-{number}", name=f"table {min(number, 448)}")


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"a": pa.array([1, None, 3], pa.int64()), "b": ["x", "y", None]}), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data
