"""Limits on trying: by account and address together, over all copies, and the same for accounts that don't exist."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mirage.auth.v1 import api_key_pb2, api_key_pb2_grpc, session_pb2
from servicekit.database import Database
from servicekit.errors import RateLimited
from servicekit.origin import network_of
from servicekit.server import running
from services.auth import throttling
from services.auth.passwords import Passwords
from services.auth.server import application
from services.auth.settings import Settings
from services.auth.throttling import REGISTRATION, SIGN_IN, SIGN_IN_BY_ADDRESS, Rule, Throttle
from tests.auth.platform import PASSWORD, AuthService
from tests.support.errors import refused

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.4"
WRONG = "Wrong-horse-77"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def via(address: str) -> tuple[tuple[str, str], ...]:
    """What the gateway says of where a call comes from."""
    return (("x-forwarded-for", address),)


async def try_password(auth: AuthService, email: str, password: str = WRONG, address: str = HERE) -> str:
    """Why a password was refused; empty if it was not."""
    try:
        await auth.login(email, password, via(address))
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)
        assert status is not None
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        return str(info.reason)
    return ""


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
async def test_wrong_passwords_are_limited(auth: AuthService, email: str) -> None:
    """After some wrong passwords no more are tried, right ones neither, for accounts that don't exist alike."""
    await auth.register("ada@example.org")
    tried = [await try_password(auth, email) for _ in range(SIGN_IN.at_once)]
    assert set(tried) == {"INVALID_CREDENTIALS"}
    async with refused("RATE_LIMIT_EXCEEDED", EXHAUSTED) as refusal:
        await auth.login(email, PASSWORD, via(HERE))
    assert refusal.metadata["limit"] == str(SIGN_IN.at_once)
    assert 0 < int(refusal.metadata["retry_after_seconds"]) <= SIGN_IN.every_s


async def test_a_stranger_locks_nobody_out(auth: AuthService) -> None:
    """What is tried at an account from one address changes nothing for its owner at another."""
    await auth.register("ada@example.org")
    for _ in range(SIGN_IN.at_once + 1):
        last = await try_password(auth, "ADA@example.org ", address=HERE)
    assert last == "RATE_LIMIT_EXCEEDED"
    assert await try_password(auth, "ada@example.org", PASSWORD, ELSEWHERE) == ""


async def test_many_at_once_gain_nothing(auth: AuthService) -> None:
    """Tries count before they are judged: of many at once no more than the limit reach a hash, over two copies."""
    await auth.register("ada@example.org")
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(running(auth.settings, application(auth.settings)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        copies = (auth, AuthService(channel, auth.settings, auth.database))
        tried = await asyncio.gather(*(try_password(copies[n % 2], "ada@example.org") for n in range(30)))
    assert tried.count("INVALID_CREDENTIALS") == SIGN_IN.at_once
    assert tried.count("RATE_LIMIT_EXCEEDED") == 30 - SIGN_IN.at_once


async def test_signing_in_is_not_limited(auth: AuthService) -> None:
    """Who knows the password signs in as often as they like: what was right doesn't count."""
    await auth.register("ada@example.org")
    assert {await try_password(auth, "ada@example.org", PASSWORD) for _ in range(SIGN_IN.at_once + 2)} == {""}


async def test_too_early_says_when(auth: AuthService) -> None:
    """A refusal carries RetryInfo, from which the gateway makes Retry-After."""
    for _ in range(SIGN_IN.at_once):
        await try_password(auth, "nobody@example.org")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.login("nobody@example.org", WRONG, via(HERE))
    status = rpc_status.from_call(caught.value)
    assert status is not None
    details = [detail for detail in status.details if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)]
    retry = error_details_pb2.RetryInfo()
    details[0].Unpack(retry)
    assert 0 < retry.retry_delay.seconds <= SIGN_IN.every_s


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of each at once."""
    for name in ("REFRESH", "REGISTRATION", "API_KEY", "CONFIRMATION", "SIGN_IN_BY_ADDRESS"):
        rule: Rule = getattr(throttling, name)
        object.__setattr__(rule, "at_once", 3)


@pytest.fixture(autouse=True)
def _rules_as_they_were() -> Iterator[None]:
    rules = [rule for rule in vars(throttling).values() if isinstance(rule, Rule)]
    before = [rule.at_once for rule in rules]
    yield
    for rule, at_once in zip(rules, before, strict=True):
        object.__setattr__(rule, "at_once", at_once)


@pytest.mark.usefixtures("strict")
async def test_other_secrets_are_limited_by_address(auth: AuthService) -> None:
    """Refresh tokens, API keys, registrations and passwords of ever other accounts are limited by address."""
    keys = api_key_pb2_grpc.ApiKeyServiceStub(auth.channel)

    async def refresh(number: int) -> Any:
        return await auth.sessions.Refresh(session_pb2.RefreshRequest(refresh_token=f"r{number}"), metadata=via(HERE))

    async def exchange(number: int) -> Any:
        return await keys.ExchangeApiKey(api_key_pb2.ExchangeApiKeyRequest(api_key=f"k{number}"), metadata=via(HERE))

    async def spray(number: int) -> Any:
        return await auth.login(f"somebody{number}@example.org", WRONG, via(HERE))

    async def register(number: int) -> Any:
        request = session_pb2.RegisterRequest(email=f"n{number}@example.org", password=PASSWORD, display_name="N")
        return await auth.sessions.Register(request, metadata=via(HERE))

    for attempt in (refresh, exchange, spray, register):
        outcomes = await asyncio.gather(*(attempt(number) for number in range(5)), return_exceptions=True)
        codes = [outcome.code() for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert codes.count(EXHAUSTED) == 2, attempt.__name__
    assert await auth.sessions.Register(
        session_pb2.RegisterRequest(email="far@example.org", password=PASSWORD, display_name="N"),
        metadata=via(ELSEWHERE),
    )


@pytest.mark.usefixtures("strict")
async def test_confirmations_are_limited(auth: AuthService) -> None:
    """Who finds an open session can't guess its owner's password either."""
    person = await auth.user("ada@example.org")
    request = session_pb2.ChangePasswordRequest(old_password=WRONG, new_password="Battery-staple-9")
    for _ in range(3):
        async with refused("WRONG_PASSWORD"):
            await auth.sessions.ChangePassword(request, metadata=person.metadata)
    async with refused("RATE_LIMIT_EXCEEDED"):
        await auth.sessions.ChangePassword(request, metadata=person.metadata)


async def test_room_comes_back_with_time(database: Database) -> None:
    """A full bucket lets one in after each interval, whatever was refused meanwhile."""
    throttle, bucket = Throttle(database), Rule("test", at_once=2, every_s=0.2).of("x")
    await throttle.admit(bucket)
    await throttle.admit(bucket)
    with pytest.raises(RateLimited):
        await throttle.admit(bucket)
    async with asyncio.timeout(10):
        while True:
            try:
                await throttle.admit(bucket)
                break
            except RateLimited:
                await asyncio.sleep(0.02)
    off = Throttle(database, enabled=False)
    for _ in range(5):
        await off.admit(bucket)


def test_networks() -> None:
    """One IPv6 host can't pass for many: it is counted by its network."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1:2") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert (network_of("203.0.113.7"), network_of("::ffff:203.0.113.7")) == ("203.0.113.7", "203.0.113.7")


@pytest.fixture
async def counted(auth: AuthService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, list[str]]]:
    """What the service does: the statements it sends and the hashes it makes and checks.

    What is told to the log of a refusal is written beside the call, and of a registration when all else is done.
    """
    done: dict[str, list[str]] = {"statements": [], "hashes": []}

    def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "account_deletion" not in statement and "outbox" not in statement:  # what is done beside all calls
            done["statements"].append(statement)

    for name in ("hash", "verify"):
        real = getattr(Passwords, name)

        async def counting(self: Passwords, *arguments: Any, _real: Any = real, _name: str = name) -> Any:
            done["hashes"].append(_name)
            return await _real(self, *arguments)

        monkeypatch.setattr(Passwords, name, counting)
    with _listening(before):
        yield done


@contextmanager
def _listening(before: Any) -> Iterator[None]:
    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)


async def test_same_work_for_accounts_that_do_not_exist(auth: AuthService, counted: dict[str, list[str]]) -> None:
    """A wrong password costs the same statements and the same hash whether or not there is such an account."""
    await auth.register("ada@example.org")
    work = []
    for email in ("ada@example.org", "nobody@example.org"):
        for done in counted.values():
            done.clear()
        assert await try_password(auth, email) == "INVALID_CREDENTIALS"
        work.append({name: list(done) for name, done in counted.items()})
    assert work[0] == work[1]
    assert work[0]["hashes"] == ["verify"]
    assert work[0]["statements"]


async def test_same_work_for_addresses_that_are_taken(auth: AuthService, counted: dict[str, list[str]]) -> None:
    """A registration costs the same statements and the same hash whether or not the address is taken."""
    work = []
    for reason in ("", "EMAIL_TAKEN"):
        for done in counted.values():
            done.clear()
        if reason:
            async with refused(reason):
                await auth.register("ada@example.org")
        else:
            await auth.register("ada@example.org")
        work.append({name: list(done) for name, done in counted.items()})
    assert work[0] == work[1]
    assert work[0]["hashes"] == ["hash"]


def test_limits_are_on_in_production(settings: Settings) -> None:
    """Nobody can switch the limits off where it matters."""
    values = {**settings.model_dump(), "environment": "production", "rate_limits": "off"}
    with pytest.raises(ValueError, match="RATE_LIMITS=off"):
        Settings.model_validate(values)


def test_rules_have_names_of_their_own() -> None:
    """No two rules share a count."""
    buckets = [rule.of("x") for rule in vars(throttling).values() if isinstance(rule, Rule)]
    assert len({bucket.key_hash for bucket in buckets}) == len(buckets) >= 6
    assert SIGN_IN.of("a", "bc") != SIGN_IN.of("ab", "c")
    assert SIGN_IN_BY_ADDRESS.at_once > SIGN_IN.at_once
    assert REGISTRATION.every_s > 0
