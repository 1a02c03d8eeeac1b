"""The end of an account: at once here, and in time everywhere, whatever dies or is away meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest

from mirage.auth.v1 import account_pb2, administration_pb2
from servicekit.database import Database
from services.auth.settings import Settings
from tests.auth.holding import HOLDERS, Surroundings, surrounded
from tests.auth.platform import PASSWORD, AuthService, Person, bearer
from tests.auth.test_administration import activate, deactivate
from tests.auth.test_revocations import next_of, subjects, watching
from tests.support.errors import refused
from tests.support.traces import traces

Deletion = administration_pb2.AccountDeletion
_PATIENCE_S = 30.0


@pytest.fixture
async def around(settings: Settings, database: Database) -> AsyncIterator[Surroundings]:
    """An auth service among servers that hold what is users'."""
    async with surrounded(settings, database) as surroundings:
        yield surroundings


async def leave(auth: AuthService, person: Person, password: str = PASSWORD) -> str:
    """Somebody deletes their account; returns the deletion's id."""
    request = account_pb2.DeleteAccountRequest(password=password)
    return (await auth.accounts.DeleteAccount(request, metadata=person.metadata)).deletion_id


async def deletions(auth: AuthService, root: Person, *, unfinished: bool = False) -> list[Deletion]:
    """The ends of accounts as an administrator sees them."""
    request = administration_pb2.ListAccountDeletionsRequest(unfinished=unfinished)
    return list((await auth.administration.ListAccountDeletions(request, metadata=root.metadata)).deletions)


async def until(auth: AuthService, root: Person, deletion_id: str, holds: Callable[[Deletion], bool]) -> Deletion:
    """A deletion once something holds of it."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            found = next(each for each in await deletions(auth, root) if each.deletion_id == deletion_id)
            if holds(found):
                return found
            await asyncio.sleep(0.05)


def finished(deletion: Deletion) -> bool:
    return deletion.HasField("end_time")


def states(deletion: Deletion) -> dict[str, str]:
    return {each.service: each.state for each in deletion.services}


async def test_an_account_ends_everywhere(around: Surroundings) -> None:
    """Whoever deletes their account is out at once, and every service is asked until it comes upon nothing."""
    auth, root = around.auth, await around.auth.administrator()
    person = await auth.user("ada@example.org", name="Ada Lovelace")
    for peer in around.peers.values():
        peer.records[person.user_id] = {"things": [b"{}"] * 3, "others": [b"{}"]}
    deletion_id = await leave(auth, person)
    async with refused("SESSION_ENDED", grpc.StatusCode.UNAUTHENTICATED):
        await auth.me(person.pair.access_token)
    async with refused("INVALID_REFRESH_TOKEN"):
        await auth.refresh(person.pair.refresh_token)
    async with refused("INVALID_CREDENTIALS"):
        await auth.login("ada@example.org")
    ended = await until(auth, root, deletion_id, finished)
    assert ended.user_id == ""
    assert ended.requested_by == "owner"
    assert states(ended) == dict.fromkeys(HOLDERS, "done")
    assert [each.found for each in ended.services] == [4] * 4
    assert all(
        set(peer.asked) == {person.user_id} and not peer.records[person.user_id] for peer in around.peers.values()
    )
    assert await deletions(auth, root, unfinished=True) == []
    told = [event for event in around.peers["activity"].events if event.kind == "account.deleted"]
    assert [(event.actor_id, event.owner_id, event.object_id) for event in told] == [(person.user_id,) * 3]


async def test_nothing_of_it_is_left(around: Surroundings) -> None:
    """No row of any table names the user afterwards: no revocation either, though they were switched off before."""
    auth, root = around.auth, await around.auth.administrator()
    person = await auth.user("ada@example.org", name="Ada Lovelace")
    await auth.api_key(person, ["datasets:read"])
    await deactivate(auth, root, person.user_id)
    await activate(auth, root, person.user_id)
    person = await auth.login("ada@example.org")
    needles = [person.user_id, "ada@example.org", "Ada Lovelace"]
    assert await traces(auth.database.dsn, needles)
    await until(auth, root, await leave(auth, person), finished)
    assert await traces(auth.database.dsn, needles) == []


async def test_tokens_are_revoked_without_the_name(around: Surroundings) -> None:
    """Other services hear of every session and key that has ended, also those over before, and not of whom."""
    auth = around.auth
    person = await auth.user("ada@example.org")
    other = await auth.login("ada@example.org")
    key = await auth.api_key(person, ["datasets:read"])
    call = await watching(auth)
    assert subjects(await next_of(call)) == []
    await leave(auth, person)
    while not (batch := await next_of(call)).revocations:
        assert batch.complete
    assert set(subjects(batch)) == {person.session_id, other.session_id, key.key_id}
    call.cancel()


@pytest.mark.parametrize(("password", "reason"), [("", "INVALID_REQUEST"), ("Wrong-horse-77", "WRONG_PASSWORD")])
async def test_only_with_the_password(auth: AuthService, password: str, reason: str) -> None:
    """Without the password in force nothing happens to an account."""
    person = await auth.user()
    async with refused(reason, grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await leave(auth, person, password)
    assert set(refusal.violations) == {"password"}
    assert (await auth.me(person.pair.access_token)).user_id == person.user_id


async def test_not_with_an_api_key(auth: AuthService) -> None:
    """A program can neither delete nor export its owner's account, whatever its key is good for."""
    person = await auth.user()
    key = await auth.api_key(person, ["account:read", "account:write"])
    token = bearer((await auth.exchange(key.key)).access_token)
    async with refused("INSUFFICIENT_SCOPE"):
        await auth.accounts.DeleteAccount(account_pb2.DeleteAccountRequest(password=PASSWORD), metadata=token)
    async with refused("INSUFFICIENT_SCOPE"):
        await auth.accounts.ExportAccount(account_pb2.ExportAccountRequest(), metadata=token).read()


async def test_twice_at_once(around: Surroundings) -> None:
    """Of two who end the same account at once, its owner and an administrator, one does; there is one deletion."""
    auth, root = around.auth, await around.auth.administrator()
    person = await auth.user()
    request = administration_pb2.DeleteUserRequest(user_id=person.user_id)
    outcomes = await asyncio.gather(
        leave(auth, person),
        auth.administration.DeleteUser(request, metadata=root.metadata),
        leave(auth, person),
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    [deletion] = await deletions(auth, root)
    await until(auth, root, deletion.deletion_id, finished)
    async with refused("USER_NOT_FOUND"):
        await auth.administration.DeleteUser(request, metadata=root.metadata)


async def test_the_last_administrator_stays(auth: AuthService) -> None:
    """Of administrators who delete themselves at once one stays, and can't until there is another."""
    people = [await auth.administrator() for _ in range(4)]
    outcomes = await asyncio.gather(*(leave(auth, person) for person in people), return_exceptions=True)
    left = [person for person, outcome in zip(people, outcomes, strict=True) if isinstance(outcome, BaseException)]
    assert len(left) == 1
    async with refused("LAST_ADMINISTRATOR", grpc.StatusCode.FAILED_PRECONDITION):
        await leave(auth, left[0])
    assert len(await deletions(auth, left[0])) == 3


async def test_a_service_that_is_away(around: Surroundings) -> None:
    """A service that fails is asked until it answers; the log is asked last; administrators see who is behind."""
    auth, root = around.auth, await around.auth.administrator()
    person = await auth.user()
    around.peers["dataset"].away = True
    around.peers["generation"].pending = 1
    deletion_id = await leave(auth, person)
    seen = await until(
        auth,
        root,
        deletion_id,
        lambda each: states(each)["optimizer"] == "done" and max(one.attempts for one in each.services) > 2,
    )
    assert seen.user_id == person.user_id
    assert states(seen) == {"activity": "waiting", "dataset": "waiting", "generation": "deleting", "optimizer": "done"}
    assert {each.service: each.error for each in seen.services}["dataset"] == "INTERNAL"
    assert around.peers["activity"].asked == []
    assert [each.deletion_id for each in await deletions(auth, root, unfinished=True)] == [deletion_id]
    around.peers["dataset"].away = False
    around.peers["generation"].pending = 0
    assert states(await until(auth, root, deletion_id, finished)) == dict.fromkeys(HOLDERS, "done")


async def test_a_restart_in_the_middle(around: Surroundings) -> None:
    """A deletion that has begun is seen through by the next process."""
    auth, root = around.auth, await around.auth.administrator()
    person = await auth.user()
    for peer in around.peers.values():
        peer.away = True
    deletion_id = await leave(auth, person)
    await until(auth, root, deletion_id, lambda each: any(one.error for one in each.services))
    await around.stop()
    for peer in around.peers.values():
        peer.away = False
    again = await around.start()
    assert states(await until(again, root, deletion_id, finished)) == dict.fromkeys(HOLDERS, "done")


async def test_deletions_are_paged(around: Surroundings) -> None:
    """Pages hold every deletion once, the latest first; a token of the other list is refused."""
    auth, root = around.auth, await around.auth.administrator()
    made = [await leave(auth, await auth.user()) for _ in range(3)]
    page = await auth.administration.ListAccountDeletions(
        administration_pb2.ListAccountDeletionsRequest(page_size=2), metadata=root.metadata
    )
    rest = administration_pb2.ListAccountDeletionsRequest(page_size=2, page_token=page.next_page_token)
    more = await auth.administration.ListAccountDeletions(rest, metadata=root.metadata)
    assert [each.deletion_id for each in [*page.deletions, *more.deletions]] == made[::-1]
    rest.unfinished = True
    async with refused("INVALID_REQUEST") as refusal:
        await auth.administration.ListAccountDeletions(rest, metadata=root.metadata)
    assert set(refusal.violations) == {"page_token"}
