"""One gRPC channel to a platform: calls with tokens, failures as exceptions."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import grpc

from mirage import __version__
from mirage.activity.v1 import (
    log_pb2_grpc,
    notification_pb2_grpc,
    platform_health_pb2_grpc,
    provenance_pb2_grpc,
    statistics_pb2_grpc,
)
from mirage.api_key import ApiKeyTokens
from mirage.auth.v1 import (
    account_pb2_grpc,
    administration_pb2_grpc,
    api_key_pb2,
    api_key_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    stream_ticket_pb2_grpc,
)
from mirage.credentials import CredentialStore
from mirage.dataset.v1 import dataset_pb2_grpc
from mirage.endpoint import Endpoint
from mirage.errors import InvalidRequest, NotSignedIn
from mirage.generation.v1 import job_pb2_grpc, model_pb2_grpc, quality_pb2_grpc
from mirage.optimizer.v1 import study_pb2_grpc
from mirage.patience import Patience
from mirage.token_keeper import TokenKeeper
from mirage.wire_errors import from_rpc

if TYPE_CHECKING:
    from mirage.activity.v1.log_pb2_grpc import LogServiceAsyncStub
    from mirage.activity.v1.notification_pb2_grpc import NotificationServiceAsyncStub
    from mirage.activity.v1.platform_health_pb2_grpc import PlatformHealthServiceAsyncStub
    from mirage.activity.v1.provenance_pb2_grpc import AuditServiceAsyncStub, ProvenanceServiceAsyncStub
    from mirage.activity.v1.statistics_pb2_grpc import StatisticsServiceAsyncStub
    from mirage.auth.v1.account_pb2_grpc import AccountServiceAsyncStub
    from mirage.auth.v1.administration_pb2_grpc import AdministrationServiceAsyncStub
    from mirage.auth.v1.api_key_pb2_grpc import ApiKeyServiceAsyncStub
    from mirage.auth.v1.session_pb2_grpc import SessionServiceAsyncStub
    from mirage.auth.v1.stream_ticket_pb2_grpc import StreamTicketServiceAsyncStub
    from mirage.dataset.v1.dataset_pb2_grpc import DatasetServiceAsyncStub
    from mirage.generation.v1.job_pb2_grpc import JobAdministrationServiceAsyncStub, JobServiceAsyncStub
    from mirage.generation.v1.model_pb2_grpc import ModelServiceAsyncStub
    from mirage.generation.v1.quality_pb2_grpc import QualityServiceAsyncStub
    from mirage.optimizer.v1.study_pb2_grpc import StudyServiceAsyncStub

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Metadata = Sequence[tuple[str, str]]

CALL_TIMEOUT_S = 60.0
# A chunk of an upload is at most 1 MiB and an answer may be a page of wide rows; gRPC's own limit is 4 MiB.
MAX_MESSAGE_BYTES = 32 * 1024 * 1024

# Reading twice is reading once, so a read may be tried again by itself when the platform is just being restarted.
_RETRIED_READS = {
    "mirage.activity.v1.LogService": ("ListLogRecords",),
    "mirage.activity.v1.PlatformHealthService": ("GetPlatformHealth",),
    "mirage.activity.v1.AuditService": ("GetAuditKeySet",),
    "mirage.activity.v1.ProvenanceService": ("GetProvenance",),
    "mirage.auth.v1.AccountService": ("GetMe", "GetProfile"),
    "mirage.dataset.v1.DatasetService": (
        "ListDatasets",
        "GetDataset",
        "ListRows",
        "GetDatasetProfile",
        "ListDatasetVersions",
    ),
    "mirage.generation.v1.JobService": ("ListJobs", "GetJob", "GetJobMetadata", "GetConfiguration", "ValidateJob"),
    "mirage.generation.v1.ModelService": ("ListModels", "GetModel"),
    "mirage.generation.v1.QualityService": ("GetQuality",),
    "mirage.optimizer.v1.StudyService": ("ListStudies", "GetStudy", "ListTrials", "GetBestTrial"),
}


class Connection:
    """Calls the platform for one user. Belongs to the event loop that first uses it."""

    def __init__(
        self, endpoint: Endpoint, store: CredentialStore, ca_file: Path | None = None, api_key: str = ""
    ) -> None:
        self.endpoint = endpoint
        self.session = None if api_key else TokenKeeper(endpoint.url, store, self._refresh)
        self.tokens = self.session or ApiKeyTokens(api_key, self._exchange)
        self._root_certificates = ca_file.read_bytes() if ca_file else None

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        options = _channel_options(self.endpoint)
        if self.endpoint.secure:
            credentials = grpc.ssl_channel_credentials(self._root_certificates)
            return grpc.aio.secure_channel(self.endpoint.target, credentials, options)
        return grpc.aio.insecure_channel(self.endpoint.target, options)

    @cached_property
    def _upload_channel(self) -> grpc.Channel:
        # Uploads go by gRPC's blocking interface, in its own threads: its asynchronous one loses what the server says
        # when the server ends a call before all is sent, as it does with a file that is too large
        # (https://github.com/grpc/grpc/issues/36066).
        options = _channel_options(self.endpoint)
        if self.endpoint.secure:
            credentials = grpc.ssl_channel_credentials(self._root_certificates)
            return grpc.secure_channel(self.endpoint.target, credentials, options)
        return grpc.insecure_channel(self.endpoint.target, options)

    @cached_property
    def health(self) -> "PlatformHealthServiceAsyncStub":
        """How the platform is, for administrators."""
        return platform_health_pb2_grpc.PlatformHealthServiceStub(self._channel)

    @cached_property
    def statistics(self) -> "StatisticsServiceAsyncStub":
        """Figures of what happened."""
        return statistics_pb2_grpc.StatisticsServiceStub(self._channel)

    @cached_property
    def provenance(self) -> "ProvenanceServiceAsyncStub":
        """Where tables came from."""
        return provenance_pb2_grpc.ProvenanceServiceStub(self._channel)

    @cached_property
    def audit(self) -> "AuditServiceAsyncStub":
        """The log as evidence."""
        return provenance_pb2_grpc.AuditServiceStub(self._channel)

    @cached_property
    def notifications(self) -> "NotificationServiceAsyncStub":
        """What the caller is told of."""
        return notification_pb2_grpc.NotificationServiceStub(self._channel)

    @cached_property
    def log(self) -> "LogServiceAsyncStub":
        """What happened on the platform."""
        return log_pb2_grpc.LogServiceStub(self._channel)

    @cached_property
    def accounts(self) -> "AccountServiceAsyncStub":
        """The caller's own account."""
        return account_pb2_grpc.AccountServiceStub(self._channel)

    @cached_property
    def sessions(self) -> "SessionServiceAsyncStub":
        """Signing up, in and out."""
        return session_pb2_grpc.SessionServiceStub(self._channel)

    @cached_property
    def api_keys(self) -> "ApiKeyServiceAsyncStub":
        """Keys for programs."""
        return api_key_pb2_grpc.ApiKeyServiceStub(self._channel)

    @cached_property
    def stream_tickets(self) -> "StreamTicketServiceAsyncStub":
        """Tickets by which browsers open streams."""
        return stream_ticket_pb2_grpc.StreamTicketServiceStub(self._channel)

    @cached_property
    def users(self) -> "AdministrationServiceAsyncStub":
        """Every account, for administrators."""
        return administration_pb2_grpc.AdministrationServiceStub(self._channel)

    @cached_property
    def datasets(self) -> "DatasetServiceAsyncStub":
        """Uploaded tables."""
        return dataset_pb2_grpc.DatasetServiceStub(self._channel)

    @cached_property
    def dataset_uploads(self) -> dataset_pb2_grpc.DatasetServiceStub:
        """Uploaded tables, for the methods that `send` calls."""
        return dataset_pb2_grpc.DatasetServiceStub(self._upload_channel)

    @cached_property
    def jobs(self) -> "JobServiceAsyncStub":
        """Jobs."""
        return job_pb2_grpc.JobServiceStub(self._channel)

    @cached_property
    def all_jobs(self) -> "JobAdministrationServiceAsyncStub":
        """Everybody's jobs, for administrators."""
        return job_pb2_grpc.JobAdministrationServiceStub(self._channel)

    @cached_property
    def models(self) -> "ModelServiceAsyncStub":
        """Fitted models."""
        return model_pb2_grpc.ModelServiceStub(self._channel)

    @cached_property
    def quality(self) -> "QualityServiceAsyncStub":
        """How good tables are."""
        return quality_pb2_grpc.QualityServiceStub(self._channel)

    @cached_property
    def studies(self) -> "StudyServiceAsyncStub":
        """Searches for parameters."""
        return study_pb2_grpc.StudyServiceStub(self._channel)

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Answer]",
        request: Request,
        *,
        signed_in: bool = True,
        metadata: Metadata = (),
        timeout_s: float | None = CALL_TIMEOUT_S,
    ) -> Answer:
        """Calls a method that takes one message and gives one, within `timeout_s`; None for as long as it takes.

        Raises:
            MirageError: if it fails.
        """
        attempts = await self._attempts(signed_in=signed_in)
        while True:
            try:
                return await method(request, metadata=attempts.metadata(metadata), timeout=timeout_s)
            except grpc.aio.AioRpcError as error:
                await attempts.prepare_another(error)

    async def send(
        self, method: "grpc.StreamUnaryMultiCallable[Request, Answer]", requests: Callable[[], Iterator[Request]]
    ) -> Answer:
        """Calls a method that takes a stream and gives one message.

        `requests` is called again for another try; what it gives is read in another thread.

        Raises:
            MirageError: if it fails.
        """
        attempts = await self._attempts()
        while True:
            try:
                return await _sent(method, requests(), attempts.metadata())
            except grpc.RpcError as error:
                await attempts.prepare_another(error)

    async def receive(
        self, method: "grpc.aio.UnaryStreamMultiCallable[Request, Answer]", request: Request
    ) -> AsyncGenerator[Answer, None]:
        """Calls a method that takes one message and gives a stream; ends the call when the caller stops listening.

        Raises:
            MirageError: if it fails, at once or in the middle.
        """
        attempts = await self._attempts()
        call = method(request, metadata=attempts.metadata())
        try:
            while True:
                try:
                    answer = await call.read()
                    break
                except grpc.aio.AioRpcError as error:
                    await attempts.prepare_another(error)
                    call = method(request, metadata=attempts.metadata())
            while answer is not grpc.aio.EOF:
                yield cast("Answer", answer)
                answer = await call.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, self.endpoint.url) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Closes the channels, if there are any; calls under way end."""
        channel: grpc.aio.Channel | None = self.__dict__.pop("_channel", None)
        if channel is not None:
            await channel.close()
        upload_channel: grpc.Channel | None = self.__dict__.pop("_upload_channel", None)
        if upload_channel is not None:
            upload_channel.close()

    async def _attempts(self, *, signed_in: bool = True) -> "_Attempts":
        token = await self.tokens.access_token() if signed_in else ""
        return _Attempts(self.tokens, token, self.endpoint.url)

    async def _exchange(self, api_key: str) -> api_key_pb2.ApiKeyToken:
        request = api_key_pb2.ExchangeApiKeyRequest(api_key=api_key)
        return await self.call(self.api_keys.ExchangeApiKey, request, signed_in=False)

    async def _refresh(self, refresh_token: str) -> session_pb2.TokenPair:
        request = session_pb2.RefreshRequest(refresh_token=refresh_token)
        return await self.call(self.sessions.Refresh, request, signed_in=False)


class _Attempts:
    """The attempts at one call: with a new token where one is refused, and later where calls come too often."""

    def __init__(self, tokens: TokenKeeper | ApiKeyTokens, token: str, url: str) -> None:
        self._tokens = tokens
        self._token = token
        self._url = url
        self._is_renewed = False
        self._patience = Patience()

    def metadata(self, others: Metadata = ()) -> tuple[tuple[str, str], ...]:
        """What the next attempt goes out with."""
        return (*others, ("authorization", f"Bearer {self._token}")) if self._token else tuple(others)

    async def prepare_another(self, error: grpc.RpcError) -> None:
        """Sees to it that another attempt may succeed; raises what the error means where none would."""
        failure = from_rpc(error, self._url)
        if self._token and not self._is_renewed and isinstance(failure, NotSignedIn):
            self._is_renewed = True
            self._token = await self._tokens.renew(self._token)
        else:
            await self._patience.bear(failure)


async def _sent(
    method: "grpc.StreamUnaryMultiCallable[Request, Answer]",
    requests: Iterator[Request],
    metadata: tuple[tuple[str, str], ...],
) -> Answer:
    faults: list[Exception] = []

    def guarded() -> Iterator[Request]:
        try:
            yield from requests
        except Exception as fault:
            faults.append(fault)
            raise

    call = method.future(guarded(), metadata=metadata)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        loop.call_soon_threadsafe(ended.set)

    call.add_done_callback(wake)
    try:
        await ended.wait()
    finally:
        call.cancel()  # where the wait was interrupted; otherwise it changes nothing
    if faults:  # what went wrong is on this side, say with the file; gRPC only says that it couldn't go on
        raise faults[0]
    return call.result()


def read_ca_file(path: str | Path | None) -> Path | None:
    """Returns the file of trusted certificates, if one is named.

    Raises:
        InvalidRequest: if there is no such file, or no certificate in it.
    """
    if not path:
        return None
    if not Path(path).is_file():
        raise InvalidRequest(f"There is no file of certificates at {path}.", reason="INVALID_CA_FILE")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise InvalidRequest(f"The file {path} holds no certificate (PEM).", reason="INVALID_CA_FILE") from None
    except OSError as error:
        raise InvalidRequest(f"The file {path} can't be read ({error.strerror}).", reason="INVALID_CA_FILE") from None
    return Path(path)


def _channel_options(endpoint: Endpoint) -> list[tuple[str, str | int]]:
    retry = {
        "maxAttempts": 5,  # the most there may be; three seconds, in which a service that died is mostly back
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    reads = [{"service": service, "method": name} for service, names in _RETRIED_READS.items() for name in names]
    return [
        ("grpc.primary_user_agent", f"mirage-python/{__version__}"),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.service_config", json.dumps({"methodConfig": [{"name": reads, "retryPolicy": retry}]})),
        # A path that died without a word is noticed within half a minute, also under a stream that is silent.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # A platform that is being restarted is found again soon.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # A company's proxy has no business between two programs of one machine.
        ("grpc.enable_http_proxy", 0 if endpoint.loopback else 1),
    ]
