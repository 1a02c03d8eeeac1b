"""What auth tells services of tokens that ended: everything that matters, from any point on, as it happens."""

import asyncio
from datetime import timedelta

import grpc.aio
import pytest
from sqlalchemy import func, select, update

from mirage.auth.v1 import (
    administration_pb2,
    revocation_pb2,
    revocation_pb2_grpc,
    session_pb2,
    token_pb2,
)
from servicekit.timestamps import utc_now
from services.auth import repository
from services.auth.models import Revocation
from tests.auth.conftest import SECRETS
from tests.auth.platform import AuthService, Person, bearer

Batch = revocation_pb2.RevocationBatch


async def watching(
    auth: AuthService, resume_token: str = ""
) -> "grpc.aio.UnaryStreamCall[revocation_pb2.WatchRevocationsRequest, Batch]":
    """A stream as a service follows it."""
    request = token_pb2.IssueServiceTokenRequest(client_id="dataset", client_secret=SECRETS["dataset"])
    token = (await auth.identities.IssueServiceToken(request)).access_token
    stub = revocation_pb2_grpc.RevocationServiceStub(auth.channel)
    watch = revocation_pb2.WatchRevocationsRequest(resume_token=resume_token)
    return stub.WatchRevocations(watch, metadata=bearer(token), timeout=30)


async def next_of(call: "grpc.aio.UnaryStreamCall[revocation_pb2.WatchRevocationsRequest, Batch]") -> Batch:
    """The next batch."""
    batch = await call.read()
    assert isinstance(batch, Batch)
    return batch


async def sign_out(auth: AuthService, person: Person) -> None:
    """Ends somebody's session."""
    await auth.sessions.Logout(session_pb2.LogoutRequest(), metadata=person.metadata)


def subjects(batch: Batch) -> list[str]:
    """Whom or what a batch names."""
    return [revocation.subject_id for revocation in batch.revocations]


async def test_from_the_beginning_and_from_any_point(auth: AuthService) -> None:
    """A follower hears all that matters first, then each as it happens; who resumes hears what came after."""
    people = [await auth.user() for _ in range(3)]
    await sign_out(auth, people[0])
    call = await watching(auth)
    first = await next_of(call)
    assert (subjects(first), first.restart, first.complete) == ([people[0].session_id], True, True)
    await sign_out(auth, people[1])
    while not (second := await next_of(call)).revocations:  # signs of life come in between
        assert second.complete
    assert subjects(second) == [people[1].session_id]
    assert not second.restart
    call.cancel()
    await sign_out(auth, people[2])
    resumed = await watching(auth, first.resume_token)
    batch = await next_of(resumed)
    assert (subjects(batch), batch.restart) == ([people[1].session_id, people[2].session_id], False)
    resumed.cancel()


@pytest.mark.parametrize("resume_token", ["9999", "nonsense", "-1", "1" * 40])
async def test_a_point_that_is_none(auth: AuthService, resume_token: str) -> None:
    """Who resumes from what never was, such as after a restored database, starts anew and is told so."""
    person = await auth.user()
    await sign_out(auth, person)
    call = await watching(auth, resume_token)
    batch = await next_of(call)
    assert (subjects(batch), batch.restart) == ([person.session_id], True)
    call.cancel()


async def test_changes_of_an_account(auth: AuthService) -> None:
    """A new role and a switched-off account revoke what was issued until then; a deleted one everything."""
    root, person = await auth.administrator(), await auth.user()
    call = await watching(auth)
    await next_of(call)
    before = utc_now()
    request = administration_pb2.SetUserRoleRequest(user_id=person.user_id, role="administrator")
    await auth.administration.SetUserRole(request, metadata=root.metadata)
    while not (batch := await next_of(call)).revocations:
        pass
    (revocation,) = batch.revocations
    assert (revocation.kind, revocation.subject_id) == (revocation_pb2.REVOCATION_KIND_USER, person.user_id)
    assert before.timestamp() <= revocation.issued_until.ToNanoseconds() / 1e9 <= utc_now().timestamp()
    deletion = administration_pb2.DeleteUserRequest(user_id=person.user_id)
    await auth.administration.DeleteUser(deletion, metadata=root.metadata)
    while not (batch := await next_of(call)).revocations:
        pass
    (revocation,) = batch.revocations
    assert revocation.issued_until == revocation.expire_time
    call.cancel()


async def test_many_at_once_are_told_in_order(auth: AuthService) -> None:
    """However many sign out at once, a follower hears of every one, once, numbered in the order of commits."""
    people = await asyncio.gather(*(auth.user() for _ in range(12)))
    call = await watching(auth)
    await next_of(call)
    await asyncio.gather(*(sign_out(auth, person) for person in people))
    heard: list[str] = []
    while len(heard) < len(people):
        heard += subjects(await next_of(call))
    assert sorted(heard) == sorted(person.session_id for person in people)
    call.cancel()


async def test_what_has_no_effect_is_forgotten(auth: AuthService) -> None:
    """Revocations of tokens that have expired are neither told nor kept, but for the last one."""
    people = [await auth.user() for _ in range(3)]
    for person in people:
        await sign_out(auth, person)
    async with auth.database.sessions.begin() as session:
        await session.execute(update(Revocation).values(expires_at=utc_now() - timedelta(seconds=1)))
        await repository.forget_revocations(session, utc_now())
    async with auth.database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Revocation)) == 1
    call = await watching(auth)
    assert subjects(await next_of(call)) == []
    call.cancel()
