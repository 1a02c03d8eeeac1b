"""What auth tells the platform's log."""

import asyncio
from datetime import timedelta

import grpc
import grpc.aio
import pytest
from sqlalchemy import update

from mirage.activity.v1 import event_pb2
from mirage.auth.v1 import account_pb2, administration_pb2, api_key_pb2, session_pb2
from servicekit.timestamps import utc_now
from services.auth import repository, revocations
from services.auth.models import Session
from tests.auth.platform import PASSWORD, AuthService, bearer
from tests.support.outbox import attributes, kinds, personal, told

SIGNED_UP = ["account.registered", "session.started"]


async def noted(auth: AuthService, kind: str, count: int = 1) -> list[event_pb2.Event]:
    """Events of a kind, once there are so many: what is refused is told a moment later."""
    async with asyncio.timeout(30):
        while len(found := [event for event in await told(auth.database) if event.kind == kind]) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def test_an_account_and_its_sessions(auth: AuthService) -> None:
    """Signing up, in and out is told, of whom and by whom, with what names somebody apart from what doesn't."""
    person = await auth.user("ada@example.org")
    await auth.sessions.Logout(session_pb2.LogoutRequest(), metadata=person.metadata)
    registered, started, ended = await told(auth.database, person.user_id)
    assert [event.kind for event in (registered, started, ended)] == [*SIGNED_UP, "session.ended"]
    for event in (registered, started, ended):
        assert (event.actor_id, event.actor_role) == (person.user_id, "user")
        assert event.request_id
    assert (registered.object_type, registered.object_id) == ("account", person.user_id)
    assert personal(registered) == {"email": "ada@example.org", "display_name": "Ada"}
    assert (started.object_type, started.object_id) == ("session", person.session_id)
    assert attributes(started) == {"new_device": False, "first": True}
    assert set(personal(started)) == {"address", "user_agent"}
    assert attributes(ended)["cause"] == "logout"
    assert attributes(ended)["seconds"] >= 0


async def test_a_new_device(auth: AuthService) -> None:
    """A sign-in from a device that the account had no session on says so; the first of all and known ones don't."""
    user = await auth.register()
    for agent in ("laptop", "laptop", "phone", "laptop"):
        await auth.login(user.email, metadata=(("x-user-agent", agent),))
    started = [event for event in await told(auth.database, user.user_id) if event.kind == "session.started"]
    assert [attributes(event)["new_device"] for event in started] == [False, False, True, False]


async def test_changes_of_an_account(auth: AuthService) -> None:
    """Each change of one's own account is told once, with what changed; one that changes nothing isn't told."""
    person = await auth.user()
    for name in ("Grace", "Grace"):
        await auth.accounts.UpdateMe(account_pb2.UpdateMeRequest(display_name=name), metadata=person.metadata)
    request = session_pb2.ChangePasswordRequest(old_password=PASSWORD, new_password="another Passphrase 7")
    await auth.sessions.ChangePassword(request, metadata=person.metadata)
    updated, changed = (await told(auth.database, person.user_id))[2:]
    assert (updated.kind, changed.kind) == ("account.updated", "account.password_changed")
    assert attributes(updated) == {"fields": ["display_name"]}
    assert personal(updated)["display_name"] == "Grace"


async def test_what_administrators_do(auth: AuthService) -> None:
    """An administrator is told as who did it, and the account as whose it is."""
    administrator, person = await auth.administrator(), await auth.user()
    whom, by = {"user_id": person.user_id}, administrator.metadata
    for _ in range(2):
        await auth.administration.DeactivateUser(administration_pb2.DeactivateUserRequest(**whom), metadata=by)
    await auth.administration.ActivateUser(administration_pb2.ActivateUserRequest(**whom), metadata=by)
    role = administration_pb2.SetUserRoleRequest(**whom, role="administrator")
    await auth.administration.SetUserRole(role, metadata=by)
    await auth.administration.DeleteUser(administration_pb2.DeleteUserRequest(**whom), metadata=by)
    events = (await told(auth.database, person.user_id))[2:]
    assert [event.kind for event in events] == [
        "session.ended",
        "account.deactivated",
        "account.activated",
        "account.role_changed",
        "account.deleted",
    ]
    assert {(event.actor_id, event.actor_role) for event in events} == {(administrator.user_id, "administrator")}
    assert attributes(events[0])["cause"] == "account_deactivated"
    assert attributes(events[3]) == {"role": "administrator", "previous_role": "user"}


async def test_api_keys(auth: AuthService) -> None:
    """A key is told of when it is made and when it is deleted."""
    person = await auth.user()
    key = await auth.api_key(person, ["datasets:read"], name="nightly")
    for _ in range(2):
        await auth.api_keys.DeleteApiKey(api_key_pb2.DeleteApiKeyRequest(key_id=key.key_id), metadata=person.metadata)
    created, deleted = (await told(auth.database, person.user_id))[2:]
    assert (created.kind, deleted.kind) == ("api_key.created", "api_key.deleted")
    assert created.object_id == deleted.object_id == key.key_id
    assert attributes(created)["scopes"] == ["datasets:read"]
    assert personal(created) == {"name": "nightly"}


async def test_a_refresh_token_in_two_hands(auth: AuthService) -> None:
    """A refresh token that comes twice is told with the end of its session."""
    person = await auth.user()
    await auth.refresh(person.pair.refresh_token)
    with pytest.raises(grpc.aio.AioRpcError):
        await auth.refresh(person.pair.refresh_token)
    assert (await kinds(auth.database, person.user_id))[2:] == ["session.ended", "refresh_token.reused"]


async def test_refused_sign_ins(auth: AuthService) -> None:
    """Each wrong password is told, of the account where there is one; being throttled is told once for many tries."""
    user = await auth.register()
    for _ in range(12):
        with pytest.raises(grpc.aio.AioRpcError):
            await auth.login(user.email, "wrong")
    with pytest.raises(grpc.aio.AioRpcError):
        await auth.login("nobody@example.org", "wrong")
    failed = await noted(auth, "sign_in.failed", 11)
    assert [event.owner_id for event in failed].count(user.user_id) == 10
    assert {event.actor_id for event in failed} == {""}
    assert {attributes(event)["cause"] for event in failed} == {"wrong_password", "unknown_account"}
    assert set(personal(failed[0])) == {"address"}
    [throttled] = await noted(auth, "sign_in.throttled")
    assert attributes(throttled) == {"rule": "sign_in", "what": "throttled", "times": 1}


async def test_forged_tokens(auth: AuthService) -> None:
    """A token that isn't ours is told, once for many of one address."""
    for _ in range(3):
        with pytest.raises(grpc.aio.AioRpcError):
            await auth.accounts.GetMe(account_pb2.GetMeRequest(), metadata=bearer("made.up.token"))
    [forged] = await noted(auth, "token.forged")
    assert attributes(forged)["cause"] == "malformed"


async def test_sessions_that_nobody_ends(auth: AuthService) -> None:
    """A session that expires is told as ended, once, with the time for which it was used."""
    person = await auth.user()
    async with auth.database.sessions.begin() as session:
        now = utc_now()
        lasted = {"created_at": now - timedelta(days=9), "last_used_at": now - timedelta(days=8), "expires_at": now}
        await session.execute(update(Session).values(lasted))
    tidying = [asyncio.create_task(revocations.keep_tidy(auth.database, every_s=0.01)) for _ in range(2)]
    try:
        [ended] = await noted(auth, "session.ended")
        async with auth.database.sessions.begin() as session:
            assert not await repository.expired_sessions(session, utc_now(), 10)
    finally:
        for task in tidying:
            task.cancel()
    assert (ended.owner_id, attributes(ended)) == (person.user_id, {"seconds": 86400, "cause": "expired"})
