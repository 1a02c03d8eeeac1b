"""Signing in and out, renewing tokens, devices."""

import asyncio
from datetime import timedelta

import grpc
import grpc.aio
import jwt
import pytest
from sqlalchemy import select, update

from mirage.auth.v1 import session_pb2
from servicekit.timestamps import utc_now
from services.auth.models import RefreshToken, Session, User
from services.auth.tokens import secret_hash
from tests.auth.platform import PASSWORD, AuthService, Person, bearer, claims_of, uuid_of
from tests.support.errors import refused

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


async def sessions_of(auth: AuthService, person: Person) -> list[session_pb2.Session]:
    """The live sessions that somebody sees."""
    answer = await auth.sessions.ListSessions(session_pb2.ListSessionsRequest(), metadata=person.metadata)
    return list(answer.sessions)


async def logout(auth: AuthService, person: Person, *, everywhere: bool = False) -> int:
    """How many sessions somebody's sign-out ended."""
    answer = await auth.sessions.Logout(session_pb2.LogoutRequest(all=everywhere), metadata=person.metadata)
    return answer.ended_sessions


async def test_login_gives_a_token_of_the_contract(auth: AuthService) -> None:
    """Signing in gives a 30-minute ES256 token with every claim, and an opaque refresh token."""
    user = await auth.register("Ada@Example.ORG")
    person = await auth.login("ada@example.org")
    header = jwt.get_unverified_header(person.pair.access_token)
    claims = claims_of(person.pair.access_token)
    assert header["alg"] == "ES256"
    assert header["kid"]
    assert set(claims) == {"iss", "aud", "sub", "sid", "role", "jti", "iat", "exp"}
    assert (claims["sub"], claims["role"]) == (user.user_id, "user")
    assert int(str(claims["exp"])) - int(float(str(claims["iat"]))) == person.pair.expires_in == 30 * 60
    assert person.pair.token_type == "Bearer"
    assert "." not in person.pair.refresh_token


async def test_login_is_remembered(auth: AuthService) -> None:
    """An account tells when it last signed in, and nothing before it ever did."""
    user = await auth.register()
    assert not user.HasField("last_login_time")
    person = await auth.login(user.email)
    assert (await auth.me(person.pair.access_token)).HasField("last_login_time")


async def test_refresh_tokens_are_stored_hashed(auth: AuthService) -> None:
    """The database holds no refresh token that could be used."""
    person = await auth.user()
    async with auth.database.sessions() as session:
        stored = (await session.scalars(select(RefreshToken.token_hash))).all()
    assert stored == [secret_hash(person.pair.refresh_token)]


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@example.org", "Wrong-horse-77"), ("nobody@example.org", PASSWORD), ("not an address", PASSWORD)],
    ids=["wrong password", "unknown account", "no address"],
)
async def test_failed_logins_look_the_same(auth: AuthService, email: str, password: str) -> None:
    """Whether an account exists can't be told from the answer."""
    await auth.register("ada@example.org")
    async with refused("INVALID_CREDENTIALS", UNAUTHENTICATED) as refusal:
        await auth.login(email, password)
    assert refusal.message == "The e-mail address or the password is wrong."
    assert refusal.metadata == {}


async def test_login_names_every_empty_field(auth: AuthService) -> None:
    """Empty credentials are a wrong request, not a wrong password."""
    async with refused("INVALID_REQUEST") as refusal:
        await auth.login("", "")
    assert set(refusal.violations) == {"email", "password"}


async def test_refresh_rotates(auth: AuthService) -> None:
    """A refresh token gives a new pair for the same session, and the new one works in turn."""
    person = await auth.user()
    second = await auth.refresh(person.pair.refresh_token)
    third = await auth.refresh(second.refresh_token)
    assert len({person.pair.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert claims_of(third.access_token)["sid"] == person.session_id
    assert (await auth.me(third.access_token)).user_id == person.user_id


async def test_reuse_ends_the_family(auth: AuthService) -> None:
    """Using a refresh token twice ends its session: neither the thief's tokens nor the owner's work any more."""
    person, elsewhere = await auth.user("ada@example.org"), await auth.login("ada@example.org")
    second = await auth.refresh(person.pair.refresh_token)
    async with refused("REFRESH_TOKEN_REUSED", UNAUTHENTICATED):
        await auth.refresh(person.pair.refresh_token)
    async with refused("INVALID_REFRESH_TOKEN", UNAUTHENTICATED):
        await auth.refresh(second.refresh_token)
    async with refused("SESSION_ENDED", UNAUTHENTICATED):
        await auth.me(second.access_token)
    assert (await auth.me(elsewhere.pair.access_token)).user_id == person.user_id  # another device, another family


async def test_concurrent_refresh_leaves_no_two_live_pairs(auth: AuthService) -> None:
    """Of many uses of one token at once only one succeeds, and its family is ended by the others."""
    person = await auth.user()
    outcomes = await asyncio.gather(
        *(auth.refresh(person.pair.refresh_token) for _ in range(8)), return_exceptions=True
    )
    pairs = [outcome for outcome in outcomes if isinstance(outcome, session_pb2.TokenPair)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert (len(pairs), len(failures)) == (1, 7)
    assert {failure.code() for failure in failures} == {UNAUTHENTICATED}
    async with refused("INVALID_REFRESH_TOKEN"):
        await auth.refresh(pairs[0].refresh_token)
    async with refused("SESSION_ENDED"):
        await auth.me(pairs[0].access_token)


@pytest.mark.parametrize("token", ["", "mirage_rt_unknown", "é" * 100])
async def test_unknown_refresh_token(auth: AuthService, token: str) -> None:
    """A refresh token that was never given out is refused."""
    async with refused("INVALID_REFRESH_TOKEN", UNAUTHENTICATED):
        await auth.refresh(token)


async def test_expired_refresh_token(auth: AuthService) -> None:
    """A session that wasn't renewed in time is over."""
    person = await auth.user()
    past = utc_now() - timedelta(seconds=1)
    async with auth.database.sessions.begin() as session:
        await session.execute(update(RefreshToken).values(expires_at=past))
        await session.execute(update(Session).values(expires_at=past))
    async with refused("INVALID_REFRESH_TOKEN"):
        await auth.refresh(person.pair.refresh_token)
    async with refused("SESSION_ENDED"):
        await auth.me(person.pair.access_token)


async def test_old_sessions_and_tokens_are_forgotten(auth: AuthService) -> None:
    """What is over for long is deleted at the next sign-in, what can't be used any more at the next renewal."""
    person = await auth.user("ada@example.org")
    await auth.refresh(person.pair.refresh_token)
    async with auth.database.sessions.begin() as session:
        await session.execute(update(Session).values(ended_at=utc_now() - timedelta(days=31)))
    later = await auth.login("ada@example.org")
    async with auth.database.sessions.begin() as session:
        assert [str(found) for found in await session.scalars(select(Session.id))] == [later.session_id]
        first = secret_hash(later.pair.refresh_token)
    second = await auth.refresh(later.pair.refresh_token)
    async with auth.database.sessions.begin() as session:
        await session.execute(update(RefreshToken).where(RefreshToken.token_hash == first).values(expires_at=utc_now()))
    await auth.refresh(second.refresh_token)
    async with auth.database.sessions() as session:
        assert first not in (await session.scalars(select(RefreshToken.token_hash))).all()


async def test_logout_ends_this_session_only(auth: AuthService) -> None:
    """Signing out ends the session at once, and leaves other devices alone."""
    here, there = await auth.user("ada@example.org"), await auth.login("ada@example.org")
    assert await logout(auth, here) == 1
    async with refused("SESSION_ENDED", UNAUTHENTICATED):
        await auth.me(here.pair.access_token)
    async with refused("INVALID_REFRESH_TOKEN"):
        await auth.refresh(here.pair.refresh_token)
    assert [session.session_id for session in await sessions_of(auth, there)] == [there.session_id]


async def test_logout_everywhere(auth: AuthService) -> None:
    """Signing out everywhere ends every session of the caller, and nobody else's."""
    stranger = await auth.user()
    here, there = await auth.user("ada@example.org"), await auth.login("ada@example.org")
    assert await logout(auth, here, everywhere=True) == 2
    for person in (here, there):
        async with refused("SESSION_ENDED"):
            await auth.me(person.pair.access_token)
    assert (await auth.me(stranger.pair.access_token)).user_id == stranger.user_id


async def test_sessions_tell_devices_apart(auth: AuthService) -> None:
    """Each session shows its agent, and the address that the gateway saw rather than one the client made up."""
    user = await auth.register()
    browser = await auth.login(
        user.email, metadata=(("x-user-agent", "Firefox/140"), ("x-forwarded-for", "6.6.6.6, 203.0.113.9"))
    )
    program = await auth.login(user.email, metadata=(("x-forwarded-for", "nonsense"),))
    newest, oldest = await sessions_of(auth, program)
    assert (newest.session_id, newest.current) == (program.session_id, True)
    assert (oldest.session_id, oldest.current) == (browser.session_id, False)
    assert (oldest.user_agent, oldest.address) == ("Firefox/140", "203.0.113.9")
    assert newest.user_agent.startswith("grpc-python")
    assert newest.address == "127.0.0.1"
    assert newest.expire_time.seconds - newest.create_time.seconds == pytest.approx(7 * 86_400, abs=2)


async def test_renewing_moves_a_session_up(auth: AuthService) -> None:
    """A renewal shows as the session's last use, with the address it came from."""
    first = await auth.user("ada@example.org")
    second = await auth.login("ada@example.org")
    request = session_pb2.RefreshRequest(refresh_token=first.pair.refresh_token)
    await auth.sessions.Refresh(request, metadata=(("x-forwarded-for", "2001:DB8::1"),))
    top, below = await sessions_of(auth, second)
    assert (top.session_id, top.address) == (first.session_id, "2001:db8::1")
    assert below.session_id == second.session_id


async def test_sessions_are_paged(auth: AuthService) -> None:
    """Pages hold every session once, and a token is good for its own owner's list only."""
    people = [await auth.user("ada@example.org"), *[await auth.login("ada@example.org") for _ in range(4)]]
    seen, token = [], ""
    while True:
        page = await auth.sessions.ListSessions(
            session_pb2.ListSessionsRequest(page_size=2, page_token=token), metadata=people[0].metadata
        )
        seen += [session.session_id for session in page.sessions]
        token = page.next_page_token
        if not token:
            break
        kept = token
    assert seen == [person.session_id for person in reversed(people)]
    stranger = await auth.user()
    async with refused("INVALID_REQUEST") as refusal:
        await auth.sessions.ListSessions(session_pb2.ListSessionsRequest(page_token=kept), metadata=stranger.metadata)
    assert set(refusal.violations) == {"page_token"}
    async with refused("INVALID_REQUEST"):
        await auth.sessions.ListSessions(session_pb2.ListSessionsRequest(page_size=-1), metadata=stranger.metadata)


async def test_one_device_is_signed_out(auth: AuthService) -> None:
    """A session can be ended from another device, and ending it twice is ending it once."""
    here, there = await auth.user("ada@example.org"), await auth.login("ada@example.org")
    request = session_pb2.DeleteSessionRequest(session_id=there.session_id)
    for _ in range(2):
        await auth.sessions.DeleteSession(request, metadata=here.metadata)
    async with refused("SESSION_ENDED"):
        await auth.me(there.pair.access_token)
    assert len(await sessions_of(auth, here)) == 1


@pytest.mark.parametrize("session_id", ["", "nonsense", "01990000-0000-7000-8000-000000000000", None])
async def test_a_strangers_session_is_not_found(auth: AuthService, session_id: str | None) -> None:
    """Nobody can end, or learn of, a session that isn't theirs."""
    person, stranger = await auth.user(), await auth.user()
    async with refused("SESSION_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        await auth.sessions.DeleteSession(
            session_pb2.DeleteSessionRequest(session_id=stranger.session_id if session_id is None else session_id),
            metadata=person.metadata,
        )
    assert (await auth.me(stranger.pair.access_token)).user_id == stranger.user_id


async def test_a_token_without_its_session_is_refused(auth: AuthService) -> None:
    """A well-signed token is worth nothing once its account is gone, or if it names somebody else's session."""
    person = await auth.user()
    async with auth.database.sessions.begin() as session:
        account = await session.get_one(User, uuid_of(person.user_id))
        await session.delete(account)
    async with refused("SESSION_ENDED", UNAUTHENTICATED):
        await auth.me(person.pair.access_token)


async def test_an_old_token_is_no_hindrance_to_signing_in(auth: AuthService) -> None:
    """Whoever signs in may still carry a dead token."""
    person = await auth.user("ada@example.org")
    await logout(auth, person)
    again = await auth.login("ada@example.org", metadata=bearer(person.pair.access_token))
    assert again.user_id == person.user_id
