"""API keys: made once, limited, traded for access tokens, and dead when deleted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text

from mirage.auth.v1 import account_pb2, administration_pb2, api_key_pb2, session_pb2
from servicekit.server import running
from services.auth.server import application
from services.auth.settings import Settings
from tests.auth.platform import PASSWORD, AuthService, Metadata, Person, bearer, claims_of, uuid_of
from tests.support.errors import refused

READ = ["account:read"]


def at(moment: datetime) -> Timestamp:
    """A moment as messages hold it."""
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


async def token_for(auth: AuthService, key: api_key_pb2.ApiKey) -> Metadata:
    """What makes a call by a key."""
    return bearer((await auth.exchange(key.key)).access_token)


async def keys_of(auth: AuthService, person: Person) -> list[api_key_pb2.ApiKey]:
    """Somebody's keys as they are listed."""
    answer = await auth.api_keys.ListApiKeys(api_key_pb2.ListApiKeysRequest(), metadata=person.metadata)
    return list(answer.api_keys)


async def test_a_key_becomes_a_limited_token(auth: AuthService) -> None:
    """A key is traded for a token of its owner that says what it is limited to and which key it comes from."""
    person = await auth.user()
    key = await auth.api_key(person, ["datasets:read", "account:read"])
    assert list(key.scopes) == ["account:read", "datasets:read"]
    token = await auth.exchange(key.key)
    claims = claims_of(token.access_token)
    assert (claims["sub"], claims["sid"], claims["role"]) == (person.user_id, key.key_id, "user")
    assert claims["scope"] == token.scope == "account:read datasets:read"
    assert (token.token_type, token.expires_in) == ("Bearer", 30 * 60)
    assert (await auth.me(token.access_token)).user_id == person.user_id
    narrower = await auth.exchange(key.key, "datasets:read")
    assert narrower.scope == "datasets:read"
    async with refused("INSUFFICIENT_SCOPE", grpc.StatusCode.PERMISSION_DENIED):
        await auth.me(narrower.access_token)
    async with refused("SCOPE_NOT_HELD", grpc.StatusCode.PERMISSION_DENIED) as refusal:
        await auth.exchange(key.key, "account:read datasets:write")
    assert refusal.metadata == {"scope": "datasets:write"}
    assert refusal.message == (
        "What you sign in with doesn't have the scope datasets:write. "
        "Choose from what it has: account:read, datasets:read."
    )


async def test_a_key_is_shown_once_and_stored_hashed(auth: AuthService) -> None:
    """The key itself is in the answer that makes it, in no list and in no column of the database."""
    person = await auth.user()
    key = await auth.api_key(person, READ, name="nightly")
    assert key.key.startswith("mirage_ak_")
    listed = (await keys_of(auth, person))[0]
    assert not listed.HasField("key")
    assert (listed.key_id, listed.name, listed.hint) == (key.key_id, "nightly", key.key[-4:])
    async with auth.database.sessions() as session:
        stored = (await session.execute(text("SELECT api_keys::text FROM api_keys"))).scalar_one()
    assert key.key not in stored
    assert key.key.removeprefix("mirage_ak_")[:20] not in stored


async def test_last_use(auth: AuthService) -> None:
    """A list tells when and from where a key was last used; nothing before it was."""
    person = await auth.user()
    key = await auth.api_key(person, READ)
    unused = (await keys_of(auth, person))[0]
    assert (unused.HasField("last_use_time"), unused.last_use_address) == (False, "")
    request = api_key_pb2.ExchangeApiKeyRequest(api_key=key.key)
    await auth.api_keys.ExchangeApiKey(request, metadata=(("x-forwarded-for", "192.0.2.7"),))
    used = (await keys_of(auth, person))[0]
    assert used.last_use_time.ToDatetime(tzinfo=UTC) >= used.create_time.ToDatetime(tzinfo=UTC)
    assert used.last_use_address == "192.0.2.7"


async def test_deleting_ends_a_key_and_its_tokens_at_once(auth: AuthService) -> None:
    """After a key is deleted neither it nor a token made from it is good; deleting it again changes nothing."""
    person = await auth.user()
    key, other = await auth.api_key(person, READ), await auth.api_key(person, READ)
    token = (await auth.exchange(key.key)).access_token
    for _ in range(2):
        request = api_key_pb2.DeleteApiKeyRequest(key_id=key.key_id)
        await auth.api_keys.DeleteApiKey(request, metadata=person.metadata)
    async with refused("SESSION_ENDED", grpc.StatusCode.UNAUTHENTICATED):
        await auth.me(token)
    async with refused("INVALID_API_KEY", grpc.StatusCode.UNAUTHENTICATED):
        await auth.exchange(key.key)
    assert [each.key_id for each in await keys_of(auth, person)] == [other.key_id]
    assert (await auth.exchange(other.key)).access_token


async def test_expired_keys(auth: AuthService) -> None:
    """A key that has expired is no longer good, nor is a token of it; no token outlives its key."""
    person = await auth.user()
    request = api_key_pb2.CreateApiKeyRequest(
        name="short", scopes=READ, expire_time=at(datetime.now(UTC) + timedelta(minutes=5))
    )
    key = await auth.api_keys.CreateApiKey(request, metadata=person.metadata)
    token = await auth.exchange(key.key)
    assert 0 < token.expires_in <= 5 * 60
    async with auth.database.sessions.begin() as session:
        expired = text("UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = :id")
        await session.execute(expired, {"id": uuid_of(key.key_id)})
    async with refused("SESSION_ENDED"):
        await auth.me(token.access_token)
    async with refused("INVALID_API_KEY"):
        await auth.exchange(key.key)


@pytest.mark.parametrize("wrong", ["", "mirage_ak_", "nonsense", "\0", "mirage_rt_x", "x" * 10_000, "é"])
async def test_wrong_keys(auth: AuthService, wrong: str) -> None:
    """What is no key is refused like one that was deleted; so is a key with one character more or less."""
    async with refused("INVALID_API_KEY", grpc.StatusCode.UNAUTHENTICATED):
        await auth.exchange(wrong)
    key = (await auth.api_key(await auth.user(), READ)).key
    for almost in (key[:-1], f"{key}x", key.swapcase(), f" {key}"):
        async with refused("INVALID_API_KEY"):
            await auth.exchange(almost)


async def test_somebody_elses_key(auth: AuthService) -> None:
    """Somebody else's key is not there: not listed, not deletable, and the answer is the one for no key."""
    owner, stranger = await auth.user(), await auth.user()
    key = await auth.api_key(owner, READ)
    assert await keys_of(auth, stranger) == []
    for key_id in (key.key_id, "019a7b1c-4d3e-7f52-8a6b-0c1d2e3f4a5b", "nonsense", ""):
        async with refused("API_KEY_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
            request = api_key_pb2.DeleteApiKeyRequest(key_id=key_id)
            await auth.api_keys.DeleteApiKey(request, metadata=stranger.metadata)
    assert (await auth.exchange(key.key)).access_token


async def test_every_wrong_field_is_named(auth: AuthService) -> None:
    """Name, scopes and time are all checked at once, and what would be right is said."""
    person = await auth.user()
    for moment in (datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(days=366)):
        request = api_key_pb2.CreateApiKeyRequest(name="", scopes=["datasets:eat"], expire_time=at(moment))
        async with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
            await auth.api_keys.CreateApiKey(request, metadata=person.metadata)
        assert refusal.violations.keys() == {"name", "scopes.0", "expire_time"}
        assert "datasets:write" in refusal.violations["scopes.0"]
    for absurd in (Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1)):
        request = api_key_pb2.CreateApiKeyRequest(name="x", scopes=READ, expire_time=absurd)
        async with refused("INVALID_REQUEST"):
            await auth.api_keys.CreateApiKey(request, metadata=person.metadata)
    async with refused("INVALID_REQUEST") as refusal:
        await auth.api_key(person, [])
    assert refusal.violations.keys() == {"scopes"}


async def test_a_key_can_give_no_more_than_it_has(auth: AuthService) -> None:
    """Without the scope for it a key manages nothing; with it, it makes keys of its own scopes and time, no others."""
    person = await auth.user()
    reader = await token_for(auth, await auth.api_key(person, [*READ, "datasets:write"]))
    async with refused("INSUFFICIENT_SCOPE") as refusal:
        await auth.api_key(person, READ, metadata=reader)
    assert refusal.metadata == {"scope": "credentials:write"}
    for call in (
        auth.api_keys.ListApiKeys(api_key_pb2.ListApiKeysRequest(), metadata=reader),
        auth.api_keys.DeleteApiKey(api_key_pb2.DeleteApiKeyRequest(), metadata=reader),
        auth.sessions.Logout(session_pb2.LogoutRequest(all=True), metadata=reader),
        auth.sessions.ListSessions(session_pb2.ListSessionsRequest(), metadata=reader),
        auth.sessions.DeleteSession(session_pb2.DeleteSessionRequest(), metadata=reader),
        auth.sessions.ChangePassword(session_pb2.ChangePasswordRequest(), metadata=reader),
        auth.accounts.UpdateMe(account_pb2.UpdateMeRequest(), metadata=reader),
    ):
        async with refused("INSUFFICIENT_SCOPE"):
            await call
    manager_key = await auth.api_key(person, ["account:read", "credentials:write"])
    manager = await token_for(auth, manager_key)
    child = await auth.api_key(person, READ, metadata=manager)
    assert child.expire_time == manager_key.expire_time
    async with refused("SCOPE_NOT_HELD"):
        await auth.api_key(person, ["account:read", "datasets:read"], metadata=manager)
    later = at(manager_key.expire_time.ToDatetime(tzinfo=UTC) + timedelta(days=1))
    request = api_key_pb2.CreateApiKeyRequest(name="x", scopes=READ, expire_time=later)
    async with refused("INVALID_REQUEST") as refusal:
        await auth.api_keys.CreateApiKey(request, metadata=manager)
    assert refusal.violations.keys() == {"expire_time"}


async def test_a_key_changes_the_password_only_if_allowed(auth: AuthService) -> None:
    """A key with the scope for it changes the password, which ends every session; the key itself goes on."""
    person = await auth.user()
    manager = await token_for(auth, await auth.api_key(person, ["credentials:write", "account:read"]))
    request = session_pb2.ChangePasswordRequest(old_password=PASSWORD, new_password="Another-horse-8")
    assert (await auth.sessions.ChangePassword(request, metadata=manager)).ended_sessions == 1
    async with refused("SESSION_ENDED"):
        await auth.me(person.pair.access_token)
    await auth.accounts.GetMe(account_pb2.GetMeRequest(), metadata=manager)


async def test_owners_state_and_role_are_those_in_force(auth: AuthService) -> None:
    """A switched-off owner's keys are refused while that lasts; an administrator's scope is nothing to a user."""
    root, person = await auth.administrator(), await auth.user()
    key = await auth.api_key(person, ["account:read", "admin:read"])
    token = await token_for(auth, key)
    async with refused("PERMISSION_DENIED"):
        await auth.administration.ListUsers(administration_pb2.ListUsersRequest(), metadata=token)
    deactivate = administration_pb2.DeactivateUserRequest(user_id=person.user_id)
    await auth.administration.DeactivateUser(deactivate, metadata=root.metadata)
    async with refused("ACCOUNT_INACTIVE", grpc.StatusCode.PERMISSION_DENIED):
        await auth.exchange(key.key)
    async with refused("SESSION_ENDED"):
        await auth.accounts.GetMe(account_pb2.GetMeRequest(), metadata=token)
    activate = administration_pb2.ActivateUserRequest(user_id=person.user_id)
    await auth.administration.ActivateUser(activate, metadata=root.metadata)
    promote = administration_pb2.SetUserRoleRequest(user_id=person.user_id, role="administrator")
    await auth.administration.SetUserRole(promote, metadata=root.metadata)
    token = await token_for(auth, key)
    await auth.administration.ListUsers(administration_pb2.ListUsersRequest(), metadata=token)
    delete = administration_pb2.DeleteUserRequest(user_id=person.user_id)
    await auth.administration.DeleteUser(delete, metadata=root.metadata)
    async with refused("INVALID_API_KEY"):
        await auth.exchange(key.key)


async def test_pages_of_keys(auth: AuthService) -> None:
    """Keys come in pages, the newest first; another's page token is refused."""
    person, stranger = await auth.user(), await auth.user()
    made = [(await auth.api_key(person, READ, name=f"key {number}")).key_id for number in range(3)]
    first = await auth.api_keys.ListApiKeys(api_key_pb2.ListApiKeysRequest(page_size=2), metadata=person.metadata)
    request = api_key_pb2.ListApiKeysRequest(page_size=2, page_token=first.next_page_token)
    second = await auth.api_keys.ListApiKeys(request, metadata=person.metadata)
    assert [key.key_id for key in (*first.api_keys, *second.api_keys)] == made[::-1]
    assert second.next_page_token == ""
    async with refused("INVALID_REQUEST"):
        await auth.api_keys.ListApiKeys(request, metadata=stranger.metadata)


@pytest.fixture
async def two_keys_at_most(settings: Settings, auth: AuthService) -> AsyncIterator[AuthService]:
    """An auth service at which a user may have two keys, on the same database."""
    few = settings.model_copy(update={"max_api_keys": 2})
    async with running(few, application(few)) as address, grpc.aio.insecure_channel(address) as channel:
        yield AuthService(channel, few, auth.database)


async def test_number_of_keys(two_keys_at_most: AuthService) -> None:
    """A user has so many keys and no more, also when they are made at once; a deleted one makes room."""
    auth = two_keys_at_most
    person = await auth.user()
    tried = await asyncio.gather(*(auth.api_key(person, READ) for _ in range(4)), return_exceptions=True)
    made = [key for key in tried if isinstance(key, api_key_pb2.ApiKey)]
    assert len(made) == 2
    async with refused("TOO_MANY_API_KEYS", grpc.StatusCode.FAILED_PRECONDITION):
        await auth.api_key(person, READ)
    request = api_key_pb2.DeleteApiKeyRequest(key_id=made[0].key_id)
    await auth.api_keys.DeleteApiKey(request, metadata=person.metadata)
    assert (await auth.api_key(person, READ)).key
