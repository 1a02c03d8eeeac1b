"""Tickets for streams: what auth gives, and what a service makes of one."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest

from mirage.auth.v1 import session_pb2, stream_ticket_pb2
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from mirage.generation.v1 import job_pb2, job_pb2_grpc
from mirage.options.v1 import access_pb2
from servicekit.access import Role
from servicekit.identity import Caller, RemoteKeys, TokenVerifier
from servicekit.ids import new_id
from servicekit.tickets import TicketedStream
from servicekit.timestamps import utc_now
from services.auth import keys
from services.auth.streams import LIFETIME, STREAMING_SERVICES
from services.auth.tokens import AccessTokens
from tests.auth.platform import AuthService, Metadata, bearer, claims_of
from tests.support import contracts
from tests.support.errors import refused
from tests.support.servers import serving

JOB = "019a7b1c-4d3e-7f52-8a6b-0c1d2e3f4a5b"
WATCH_JOB = "/mirage.generation.v1.JobService/WatchJob"


@pytest.fixture
async def streams(auth: AuthService) -> AsyncIterator[grpc.aio.Channel]:
    """Another service, which checks tokens and tickets by auth's published keys."""

    def register(server: grpc.aio.Server) -> None:
        served = (service for service in contracts.services() if service.full_name in STREAMING_SERVICES)
        server.add_generic_rpc_handlers([contracts.answering_nothing(service) for service in served])

    verifier = TokenVerifier(RemoteKeys(auth.channel), issuer="mirage", audience="mirage-api")
    async with serving(STREAMING_SERVICES, register, verifier) as channel:
        yield channel


async def ticket_for(auth: AuthService, stream: str, metadata: Metadata) -> stream_ticket_pb2.StreamTicket:
    """A ticket."""
    request = stream_ticket_pb2.CreateStreamTicketRequest(stream=stream)
    return await auth.tickets.CreateStreamTicket(request, metadata=metadata)


def holding(ticket: str) -> Metadata:
    """What the gateway makes of `?ticket=`."""
    return (("x-stream-ticket", ticket),)


async def watch(channel: grpc.aio.Channel, metadata: Metadata, job_id: str = JOB, resume_token: str = "") -> int:
    """How many events a job's stream has for whoever holds this."""
    request = job_pb2.WatchJobRequest(job_id=job_id, resume_token=resume_token)
    stub: Any = job_pb2_grpc.JobServiceStub(channel)
    return len([event async for event in stub.WatchJob(request, metadata=metadata)])


async def test_a_ticket_opens_its_stream(auth: AuthService, streams: grpc.aio.Channel) -> None:
    """A ticket opens the stream that it names as its owner would, from any point, and again within its minute."""
    person = await auth.user()
    ticket = await ticket_for(auth, f"/generation/watch/{JOB}", person.metadata)
    assert ticket.url == f"/generation/watch/{JOB}?ticket={ticket.ticket}"
    assert claims_of(ticket.ticket)["sub"] == person.user_id
    assert ticket.expires_in == LIFETIME.total_seconds() == 60
    assert await watch(streams, holding(ticket.ticket)) == 1
    assert await watch(streams, holding(ticket.ticket), resume_token="after-7") == 1


@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
async def test_prefixes(auth: AuthService, streams: grpc.aio.Channel, prefix: str) -> None:
    """Every spelling of the path gives a ticket for the one stream, and a URL in the same spelling."""
    person = await auth.user()
    ticket = await ticket_for(auth, f"{prefix}/generation/watch/{JOB}", person.metadata)
    assert ticket.url.startswith(f"{prefix}/generation/watch/{JOB}?ticket=")
    assert await watch(streams, holding(ticket.ticket)) == 1


async def test_a_ticket_opens_nothing_else(auth: AuthService, streams: grpc.aio.Channel) -> None:
    """Another job's stream, another service's stream and every other call refuse it, and so does auth."""
    person = await auth.user()
    ticket = holding((await ticket_for(auth, f"/generation/watch/{JOB}", person.metadata)).ticket)
    jobs: Any = job_pb2_grpc.JobServiceStub(streams)
    datasets: Any = dataset_pb2_grpc.DatasetServiceStub(streams)
    for job_id in (str(new_id()), "", JOB.upper()):
        async with refused("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED):
            await watch(streams, ticket, job_id)
    async with refused("UNAUTHENTICATED"):
        await jobs.GetJob(job_pb2.GetJobRequest(job_id=JOB), metadata=ticket)
    async with refused("UNAUTHENTICATED"):
        async for _ in datasets.WatchDataset(dataset_pb2.WatchDatasetRequest(dataset_id=JOB), metadata=ticket):
            pass
    for method in contracts.methods():
        roles = method.GetOptions().Extensions[access_pb2.access].roles
        if method.containing_service.file.package == "mirage.auth.v1" and access_pb2.ROLE_ANYONE not in roles:
            async with refused("UNAUTHENTICATED"):
                await contracts.call_of(auth.channel, method)("", ticket)


async def test_a_ticket_is_no_access_token_nor_the_other_way(auth: AuthService, streams: grpc.aio.Channel) -> None:
    """As a bearer token a ticket is refused by auth and by services, and an access token is no ticket."""
    person = await auth.user()
    ticket = (await ticket_for(auth, f"/generation/watch/{JOB}", person.metadata)).ticket
    async with refused("UNAUTHENTICATED"):
        await auth.me(ticket)
    async with refused("UNAUTHENTICATED"):
        await watch(streams, bearer(ticket))
    async with refused("UNAUTHENTICATED"):
        await watch(streams, holding(person.pair.access_token))
    async with refused("UNAUTHENTICATED"):  # a bad token isn't made good by a ticket beside it
        await watch(streams, (*bearer("nonsense"), *holding(ticket)))


async def test_expired_and_forged_tickets(auth: AuthService, streams: grpc.aio.Channel) -> None:
    """A ticket older than its minute, one by another key, and one that names no stream are refused."""
    person = await auth.user()
    stream = TicketedStream(WATCH_JOB, {"job_id": JOB})
    holder = Caller(subject=person.user_id, role=Role.USER, session_id=person.session_id)
    ours = AccessTokens(keys.load_or_create(auth.settings.signing_keys_dir), issuer="mirage", audience="mirage-api")
    lately = utc_now() - LIFETIME - LIFETIME / 6  # beyond what clocks may differ by
    expired = ours.for_stream(caller=holder, stream=stream, now=lately, lifetime=LIFETIME).token
    async with refused("UNAUTHENTICATED") as refusal:
        await watch(streams, holding(expired))
    assert "stream-ticket" in refusal.message
    for nothing in (TicketedStream(WATCH_JOB, {}), TicketedStream("", {"job_id": JOB})):
        token = ours.for_stream(caller=holder, stream=nothing, now=utc_now(), lifetime=LIFETIME).token
        async with refused("UNAUTHENTICATED"):
            await watch(streams, holding(token))
    good = ours.for_stream(caller=holder, stream=stream, now=utc_now(), lifetime=LIFETIME).token
    unsigned = jwt.encode(claims_of(good), key="", algorithm="none")
    for forged in (unsigned, good[:-4], "nonsense"):
        async with refused("UNAUTHENTICATED"):
            await watch(streams, holding(forged))
    assert await watch(streams, holding(good)) == 1


async def test_what_is_no_stream(auth: AuthService) -> None:
    """A ticket is only given for a stream's path; the answer says which there are."""
    person = await auth.user()
    for path in (
        "", "/", "nonsense", "/generation/watch/", f"/generation/watch/{JOB}/", f"/generation/status/{JOB}",
        f"/generation/watch/{JOB}?resume_token=x", f"/generation/watch/{JOB}#x", f"//generation/watch/{JOB}",
        f"https://example.org/generation/watch/{JOB}", f"/generation/download/{JOB}", "/x" * 300, WATCH_JOB,
        f"/api/api/generation/watch/{JOB}", f"/generation/watch/a/b/{JOB}",
    ):  # fmt: skip
        async with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
            await ticket_for(auth, path, person.metadata)
        assert refusal.violations.keys() == {"stream"}, path
    assert "/generation/watch/{job_id}" in refusal.violations["stream"]


async def test_scopes_hold_for_tickets(auth: AuthService, streams: grpc.aio.Channel) -> None:
    """A key gets tickets only for streams that its scopes allow, and the ticket keeps the key's limits and id."""
    person = await auth.user()
    key = await auth.api_key(person, ["datasets:read"])
    token = bearer((await auth.exchange(key.key)).access_token)
    async with refused("INSUFFICIENT_SCOPE") as refusal:
        await ticket_for(auth, f"/generation/watch/{JOB}", token)
    assert refusal.metadata == {"scope": "generation:read"}
    ticket = await ticket_for(auth, f"/datasets/{JOB}/watch", token)
    claims = claims_of(ticket.ticket)
    assert (claims["scope"], claims["sid"], claims["aud"]) == ("datasets:read", key.key_id, "mirage-api/streams")
    datasets: Any = dataset_pb2_grpc.DatasetServiceStub(streams)
    request = dataset_pb2.WatchDatasetRequest(dataset_id=JOB)
    assert len([event async for event in datasets.WatchDataset(request, metadata=holding(ticket.ticket))]) == 1
    account = await auth.api_key(person, ["account:read"])
    async with refused("INSUFFICIENT_SCOPE"):
        await ticket_for(auth, f"/datasets/{JOB}/watch", bearer((await auth.exchange(account.key)).access_token))


async def test_a_ticket_of_an_ended_session_is_not_given(auth: AuthService) -> None:
    """Whoever is signed out gets no ticket."""
    person = await auth.user()
    await auth.sessions.Logout(session_pb2.LogoutRequest(), metadata=person.metadata)
    async with refused("SESSION_ENDED"):
        await ticket_for(auth, f"/generation/watch/{JOB}", person.metadata)


def test_every_stream_has_tickets() -> None:
    """Every route that answers with events has tickets, and takes a scope that gets tickets."""
    with_streams: set[str] = set()
    scopes: set[str] = set()
    create = stream_ticket_pb2.DESCRIPTOR.services_by_name["StreamTicketService"].methods_by_name["CreateStreamTicket"]
    for method in contracts.methods():
        access = method.GetOptions().Extensions[access_pb2.access]
        raw = method.output_type.full_name == "google.api.HttpBody"
        for_people = access_pb2.ROLE_SERVICE not in access.roles
        if method.server_streaming and not raw and for_people:
            with_streams.add(method.containing_service.full_name)
            scopes.update(access.scopes)
    assert with_streams == set(STREAMING_SERVICES)
    assert scopes == set(create.GetOptions().Extensions[access_pb2.access].scopes)
