"""Revoked tokens: refused by whoever follows auth's list, which goes on while auth is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc.aio
import jwt
import pytest
from pydantic import SecretStr

from mirage.auth.v1 import revocation_pb2, revocation_pb2_grpc, token_pb2, token_pb2_grpc
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from mirage.generation.v1 import job_pb2, job_pb2_grpc
from servicekit.clients import ServiceIdentity, open_channel
from servicekit.errors import TokenRevoked, Unavailable
from servicekit.identity import TokenVerifier
from servicekit.revocations import Revocations, followed_revocations
from servicekit.server import Application, running
from servicekit.settings import PeerSettings, ServiceSettings
from servicekit.timestamps import to_timestamp, utc_now
from tests.support.errors import refused
from tests.support.servers import NO_DATABASE, serving
from tests.support.tokens import AUDIENCE, ISSUER, Tokens

FAR = 4_000_000_000
SESSION = revocation_pb2.REVOCATION_KIND_SESSION
USER = revocation_pb2.REVOCATION_KIND_USER


class Auth(revocation_pb2_grpc.RevocationServiceServicer, token_pb2_grpc.ServiceIdentityServiceServicer):
    """Auth's part, by hand: tells what a test puts into its queue."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.batches: asyncio.Queue[revocation_pb2.RevocationBatch] = asyncio.Queue()
        self.resumed_from: list[str] = []

    async def WatchRevocations(self, request: Any, context: Any) -> AsyncIterator[revocation_pb2.RevocationBatch]:
        """What the queue holds."""
        self.resumed_from.append(request.resume_token)
        while True:
            yield await self.batches.get()

    async def IssueServiceToken(self, request: Any, context: Any) -> token_pb2.ServiceToken:
        """A service's token."""
        return token_pb2.ServiceToken(access_token=self._tokens.service(request.client_id), expires_in=600)


@asynccontextmanager
async def serving_on(port: int, auth: Auth, tokens: Tokens) -> AsyncIterator[str]:
    """Auth on a port of its own choice (0) or the one it had before."""

    def register(server: grpc.aio.Server) -> None:
        revocation_pb2_grpc.add_RevocationServiceServicer_to_server(auth, server)
        token_pb2_grpc.add_ServiceIdentityServiceServicer_to_server(auth, server)

    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        names = ("mirage.auth.v1.RevocationService", "mirage.auth.v1.ServiceIdentityService")
        yield Application(names, register, tokens.verifier)

    settings = ServiceSettings(database_url=NO_DATABASE, shutdown_grace_seconds=0, grpc_port=port)
    async with running(settings, application()) as address:
        yield address


@asynccontextmanager
async def following(address: str) -> AsyncIterator[Revocations]:
    """The list, as a service follows it."""
    settings = PeerSettings(
        auth_address=address, service_client_id="dataset", service_client_secret=SecretStr("a-secret-of-a-service")
    )
    async with (
        open_channel(address, None) as channel,
        followed_revocations(channel, ServiceIdentity(channel, settings)) as revocations,
    ):
        yield revocations


def batch(*revocations: revocation_pb2.Revocation, resume_token: str = "", **fields: bool) -> Any:
    """What auth tells."""
    return revocation_pb2.RevocationBatch(
        revocations=revocations, resume_token=resume_token, **{"complete": True, **fields}
    )


def of(kind: "revocation_pb2.RevocationKind.ValueType", subject_id: str, issued_until: float = FAR) -> Any:
    """A revocation."""
    until = to_timestamp(utc_now())
    until.FromNanoseconds(int(issued_until * 1e9))
    expiry = to_timestamp(utc_now())
    expiry.FromSeconds(FAR)
    return revocation_pb2.Revocation(kind=kind, subject_id=subject_id, issued_until=until, expire_time=expiry)


def verifier_with(tokens: Tokens, revocations: Revocations) -> TokenVerifier:
    """What a service checks tokens with."""
    return TokenVerifier(tokens, issuer=ISSUER, audience=AUDIENCE, revocations=revocations)


def claims_of(token: str) -> dict[str, Any]:
    """A token's claims."""
    return jwt.decode(token, options={"verify_signature": False})


async def refuses_soon(verifier: TokenVerifier, token: str) -> None:
    """Waits until a token is refused as revoked."""
    async with asyncio.timeout(5):
        while True:
            try:
                await verifier.authenticate(token)
            except TokenRevoked:
                return
            await asyncio.sleep(0.01)


async def test_sessions_and_users(tokens: Tokens) -> None:
    """A session's tokens are refused for good, a user's those that were issued until then, though verified before."""
    revocations = Revocations()
    revocations.apply(batch(restart=True))
    verifier = verifier_with(tokens, revocations)
    user_id = str(uuid4())
    earlier, later = tokens.user(user_id), tokens.user(user_id, iat=claims_of(tokens.user())["iat"] + 2.5)
    other = tokens.user()
    for token in (earlier, later, other):
        await verifier.authenticate(token)
    revocations.apply(batch(of(USER, user_id, claims_of(earlier)["iat"] + 1), of(SESSION, claims_of(other)["sid"])))
    for token in (earlier, other):
        with pytest.raises(TokenRevoked):
            await verifier.authenticate(token)
    assert (await verifier.authenticate(later)).subject == user_id
    assert (await verifier.authenticate(tokens.service(user_id))).subject == user_id


async def test_nobody_is_let_in_before_the_list_is_known(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that has never heard the list takes no person's token, nor does one that has heard half of it."""
    monkeypatch.setattr("servicekit.revocations._FIRST_LIST_S", 0.1)
    revocations = Revocations()
    verifier = verifier_with(tokens, revocations)
    token = tokens.user()
    for told in (None, batch(restart=True, complete=False)):
        if told is not None:
            revocations.apply(told)
        with pytest.raises(Unavailable):
            await verifier.authenticate(token)
    revocations.apply(batch(of(SESSION, claims_of(token)["sid"])))
    with pytest.raises(TokenRevoked):
        await verifier.authenticate(token)


async def test_following_through_auths_absence(tokens: Tokens) -> None:
    """While auth is away its last list stays in force; when it is back the stream resumes where it was."""
    auth = Auth(tokens)
    first, second = tokens.user(), tokens.user()
    async with AsyncExitStack() as stack:
        async with serving_on(0, auth, tokens) as address:
            revocations = await stack.enter_async_context(following(address))
            verifier = verifier_with(tokens, revocations)
            auth.batches.put_nowait(batch(of(SESSION, claims_of(first)["sid"]), restart=True, resume_token="7"))
            await revocations.known()
        with pytest.raises(TokenRevoked):
            await verifier.authenticate(first)
        assert await verifier.authenticate(second)
        async with serving_on(int(address.rpartition(":")[2]), auth, tokens):
            auth.batches.put_nowait(batch(of(SESSION, claims_of(second)["sid"]), resume_token="8"))
            await refuses_soon(verifier, second)
        with pytest.raises(TokenRevoked):
            await verifier.authenticate(first)
    assert auth.resumed_from[0] == ""
    assert set(auth.resumed_from[1:]) == {"7"}


async def test_revocation_ends_streams(tokens: Tokens) -> None:
    """A stream ends when its token is revoked, saying so; another's goes on."""
    revocations = Revocations()
    revocations.apply(batch(restart=True))

    class Jobs(job_pb2_grpc.JobServiceServicer):
        """Tells of a job that never ends."""

        async def WatchJob(self, request: Any, context: Any) -> AsyncIterator[job_pb2.JobEvent]:
            while True:
                yield job_pb2.JobEvent()
                await asyncio.sleep(0.01)

    def register(server: grpc.aio.Server) -> None:
        job_pb2_grpc.add_JobServiceServicer_to_server(Jobs(), server)  # type: ignore[abstract]  # one RPC is enough

    mine, anothers = tokens.user(), tokens.user()
    async with serving(["mirage.generation.v1.JobService"], register, verifier_with(tokens, revocations)) as channel:
        stub = job_pb2_grpc.JobServiceStub(channel)
        calls = [
            stub.WatchJob(job_pb2.WatchJobRequest(), metadata=(("authorization", f"Bearer {token}"),), timeout=30)
            for token in (mine, anothers)
        ]
        for call in calls:
            await call.read()
        revocations.apply(batch(of(SESSION, claims_of(mine)["sid"])))
        async with refused("TOKEN_REVOKED", grpc.StatusCode.UNAUTHENTICATED):
            while await calls[0].read() is not grpc.aio.EOF:
                pass
        assert await calls[1].read() is not grpc.aio.EOF
        calls[1].cancel()


async def test_revocation_ends_uploads(tokens: Tokens) -> None:
    """What somebody sends is taken no further once their token is revoked, however long they go on sending."""
    revocations = Revocations()
    revocations.apply(batch(restart=True))
    arrived, ended = asyncio.Event(), asyncio.Event()

    class Datasets(dataset_pb2_grpc.DatasetServiceServicer):
        """Takes an upload that never ends."""

        async def UploadDataset(self, request_iterator: Any, context: Any) -> dataset_pb2.Dataset:
            try:
                async for _ in request_iterator:
                    arrived.set()
            finally:
                ended.set()
            return dataset_pb2.Dataset()

    async def requests() -> AsyncIterator[dataset_pb2.UploadDatasetRequest]:
        while True:
            yield dataset_pb2.UploadDatasetRequest()
            await asyncio.sleep(0.01)

    def register(server: grpc.aio.Server) -> None:
        dataset_pb2_grpc.add_DatasetServiceServicer_to_server(Datasets(), server)  # type: ignore[abstract]  # as above

    token = tokens.user()
    async with serving(["mirage.dataset.v1.DatasetService"], register, verifier_with(tokens, revocations)) as channel:
        stub: Any = dataset_pb2_grpc.DatasetServiceStub(channel)
        call = stub.UploadDataset(requests(), metadata=(("authorization", f"Bearer {token}"),), timeout=30)
        async with asyncio.timeout(20):
            await arrived.wait()
            revocations.apply(batch(of(SESSION, claims_of(token)["sid"])))
            await ended.wait()
            with pytest.raises(grpc.aio.AioRpcError):  # who still sends may not hear why
                await call
