"""Notifications on their way out: to a real push service and a real mail server, which fail in every way there is."""

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from pydantic import SecretStr, ValidationError

from mirage.activity.v1 import notification_pb2, notification_pb2_grpc
from services.activity.notifying.push import PushServices
from tests.activity.notifying.conftest import BrowserForTests, MailServerForTests, PushServiceForTests, claims_of
from tests.activity.notifying.people import Person, happened_to
from tests.activity.platform import Platform, open_platform, settings_for
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest.fixture
async def platform(
    postgres: PostgresForTests,
    tokens: Tokens,
    push_service: PushServiceForTests,
    mail_server: tuple[MailServerForTests, int],
    tmp_path: Path,
) -> AsyncIterator[Platform]:
    """A service with both ways out, which is quick to try again and to give up."""
    changes: dict[str, Any] = {
        "push_service_hosts": push_service.address.removeprefix("http://"),
        "vapid_private_key_file": tmp_path / "keys" / "vapid.pem",
        "smtp_host": "127.0.0.1",
        "smtp_port": mail_server[1],
        "smtp_security": "none",
        "smtp_from": "mirage@example.org",
        "notification_attempts": 3,
        "notification_retry_seconds": 0.05,
        "notification_timeout_seconds": 0.5,
    }
    async with open_platform(postgres, tokens, **changes) as opened:
        yield opened


@pytest.fixture
def ada(platform: Platform) -> Person:
    return Person(platform)


class _Browsers:
    """Registers browsers."""

    def __init__(self, platform: Platform) -> None:
        self.stub = notification_pb2_grpc.PushSubscriptionServiceStub(platform.channel)

    async def register(self, person: Person, browser: BrowserForTests) -> notification_pb2.PushSubscription:
        request = notification_pb2.RegisterPushSubscriptionRequest(
            endpoint=browser.endpoint,
            keys=notification_pb2.PushKeys(p256dh=browser.p256dh, auth=browser.auth),
        )
        answer: notification_pb2.PushSubscription = await self.stub.RegisterPushSubscription(
            request, metadata=person.metadata
        )
        return answer

    async def of(self, person: Person) -> list[str]:
        request = notification_pb2.ListPushSubscriptionsRequest()
        answer = await self.stub.ListPushSubscriptions(request, metadata=person.metadata)
        return [each.push_subscription_id for each in answer.push_subscriptions]


@pytest.fixture
def browsers(platform: Platform) -> _Browsers:
    return _Browsers(platform)


async def test_to_a_browser(
    platform: Platform, ada: Person, browsers: _Browsers, push_service: PushServiceForTests
) -> None:
    """A browser gets what only its keys open, from a sender who proves to be the one it subscribed to."""
    browser = BrowserForTests(f"{push_service.address}/send/1")
    subscription = await browsers.register(ada, browser)
    assert subscription.host == "127.0.0.1"
    done = happened_to(ada, "job.succeeded", attributes={"rows": 10})
    await platform.record(done)
    await push_service.taken_count(1)
    [(headers, body)] = push_service.taken
    told = browser.opened(body)
    assert (told["kind"], told["object_id"], told["body"]) == ("job_ended", done.object_id, "Your job made 10 rows.")
    claims, key = claims_of(headers)
    preferences = await ada.set({"kind": "job_ended"})
    assert key == preferences.vapid_public_key
    assert claims["aud"] == push_service.address
    assert claims["sub"].startswith("mailto:")
    assert b"rows" not in body


async def test_a_browser_that_is_gone(
    platform: Platform, ada: Person, browsers: _Browsers, push_service: PushServiceForTests
) -> None:
    """Where a push service knows a browser no longer (410) it is asked once, and the browser is forgotten, and told."""
    push_service.status = 410
    await browsers.register(ada, BrowserForTests(f"{push_service.address}/send/1"))
    await platform.record(happened_to(ada, "job.succeeded"))
    dropped = (await ada.told(2))[0]
    assert (dropped.kind, dropped.object_type) == ("delivery_dropped", "push_subscription")
    assert await browsers.of(ada) == []
    assert len(push_service.taken) == 1
    assert [record.kind for record in await platform.records()] == ["job.succeeded", "notification.delivery_dropped"]


@pytest.mark.parametrize("fault", ["refuses", "hangs", "redirects", "is away"])
async def test_a_target_that_fails(
    platform: Platform, ada: Person, browsers: _Browsers, push_service: PushServiceForTests, fault: str
) -> None:
    """A push service that fails, hangs, sends elsewhere or can't be reached is tried again, and then given up."""
    push_service.status = {"refuses": 500, "redirects": 307}.get(fault, 201)
    push_service.hangs = fault == "hangs"
    where = "http://127.0.0.1:9" if fault == "is away" else push_service.address
    browser = BrowserForTests(f"{push_service.address}/send/1")
    subscription = await browsers.register(ada, browser)
    if fault == "is away":
        await _move(platform, subscription.push_subscription_id, f"{where}/send/1")
    await platform.record(happened_to(ada, "job.succeeded"))
    assert (await ada.told(2))[0].kind == "delivery_dropped"
    assert await browsers.of(ada) == []
    if fault != "is away":
        assert len(push_service.taken) == 3
        assert not [headers for headers, _ in push_service.taken if "elsewhere" in headers.get("Referer", "")]


async def _move(platform: Platform, subscription_id: str, endpoint: str) -> None:
    """Lets a browser's push service be elsewhere, as if its host were one that is away."""
    from sqlalchemy import text

    async with platform.database.sessions.begin() as session:
        statement = text("UPDATE push_subscriptions SET endpoint = :endpoint WHERE id = CAST(:id AS uuid)")
        await session.execute(statement, {"endpoint": endpoint, "id": subscription_id})


async def test_addresses_that_are_no_push_service(platform: Platform, ada: Person, browsers: _Browsers) -> None:
    """An address that leads anywhere but to a push service, and keys that are none, are refused by name."""
    for endpoint in (
        "http://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/send",
        "https://localhost:5432/",
        "file:///etc/passwd",
        "https://evil.example.org/send",
        "nonsense",
    ):
        async with refused("INVALID_REQUEST") as refusal:
            await browsers.register(ada, BrowserForTests(endpoint))
        assert set(refusal.violations) == {"endpoint"}
    async with refused("INVALID_REQUEST") as refusal:
        request = notification_pb2.RegisterPushSubscriptionRequest(
            endpoint="ftp://x", keys=notification_pb2.PushKeys(p256dh="BBBB", auth="é")
        )
        await browsers.stub.RegisterPushSubscription(request, metadata=ada.metadata)
    assert set(refusal.violations) == {"endpoint", "keys.p256dh", "keys.auth"}


def test_push_services() -> None:
    """Names match whole labels, by TLS on its own port, without a user; all below a name only where it is said."""
    services = PushServices(["fcm.googleapis.com", "*.push.apple.com"])
    right = [
        "https://fcm.googleapis.com/fcm/send/x",
        "https://web.push.apple.com/x",
        "https://FCM.googleapis.com:443/x",
    ]
    wrong = [
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com.evil.org/x",
        "https://evilpush.apple.com/x",
        "https://user@fcm.googleapis.com/x",
        "https://evil.org/fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com",
        "https://[::1/x",
    ]
    assert [each for each in right if not services.is_one(each)] == []
    assert [each for each in wrong if services.is_one(each)] == []


async def test_browsers_of_others(
    platform: Platform, ada: Person, browsers: _Browsers, push_service: PushServiceForTests
) -> None:
    """A browser belongs to who registered it last; nobody else can forget it; twice is once; there is a most."""
    eve = Person(platform)
    browser = BrowserForTests(f"{push_service.address}/send/1")
    first = await browsers.register(ada, browser)
    again = await browsers.register(ada, browser)
    assert first.push_subscription_id == again.push_subscription_id
    request = notification_pb2.DeletePushSubscriptionRequest(push_subscription_id=first.push_subscription_id)
    async with refused("PUSH_SUBSCRIPTION_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        await browsers.stub.DeletePushSubscription(request, metadata=eve.metadata)
    await browsers.register(eve, browser)
    assert (await browsers.of(ada), await browsers.of(eve)) == ([], [first.push_subscription_id])
    for _ in range(2):
        await browsers.stub.DeletePushSubscription(request, metadata=eve.metadata)
    for number in range(20):
        await browsers.register(ada, BrowserForTests(f"{push_service.address}/send/{number}"))
    async with refused("TOO_MANY_PUSH_SUBSCRIPTIONS"):
        await browsers.register(ada, BrowserForTests(f"{push_service.address}/send/20"))


async def test_by_email(platform: Platform, ada: Person, mail_server: tuple[MailServerForTests, int]) -> None:
    """What concerns safety comes by e-mail to the account's address, unless switched off; the rest where asked for."""
    server, _ = mail_server
    assert (await ada.set({"kind": "job_ended", "email": True})).email_available
    await ada.set({"kind": "account_changed", "email": False})
    await platform.record(
        happened_to(ada, "account.password_changed"),
        happened_to(ada, "study.succeeded"),
        happened_to(ada, "job.succeeded"),
    )
    async with asyncio.timeout(20):
        envelope = await server.taken.get()
    assert envelope.rcpt_tos == [f"{ada.id}@example.org"]
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content)
    assert message["Subject"] == "A job is done"
    assert message["Auto-Submitted"] == "auto-generated"
    assert server.taken.empty()


async def test_a_mailbox_that_is_none(
    platform: Platform, ada: Person, mail_server: tuple[MailServerForTests, int]
) -> None:
    """A mailbox that the mail server knows nothing of gets no e-mail any more, and its owner is told so."""
    server, _ = mail_server
    server.reply = "550 No such mailbox"
    await platform.record(happened_to(ada, "account.password_changed"))
    assert (await ada.told(2))[0].title == "E-mail is switched off"
    assert not [each.kind for each in (await ada.set({"kind": "job_ended"})).kinds if each.email]


async def test_a_mail_server_that_fails(
    platform: Platform, ada: Person, mail_server: tuple[MailServerForTests, int]
) -> None:
    """A mail server that refuses for now is tried again; nobody's e-mail is switched off for it."""
    server, _ = mail_server
    server.reply = "451 Later"
    await platform.record(happened_to(ada, "account.password_changed"))
    await ada.told(1)
    server.reply = "250 OK"
    await platform.record(happened_to(ada, "account.role_changed", actor_id=""))
    async with asyncio.timeout(20):
        await server.taken.get()
    assert [each.kind for each in (await ada.set({"kind": "job_ended"})).kinds if each.email]


async def test_switched_off_for_all(postgres: PostgresForTests, tokens: Tokens) -> None:
    """Where the platform sends nothing to browsers, none is taken, and the list goes on."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(postgres, tokens, enable_push_notifications=False))
        person = Person(platform)
        async with refused("PUSH_SWITCHED_OFF"):
            await _Browsers(platform).register(person, BrowserForTests("https://fcm.googleapis.com/x"))
        assert (await person.set({"kind": "job_ended"})).vapid_public_key == ""


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"smtp_host": "mail"}, "SMTP_FROM"),
        ({"smtp_password": SecretStr("x"), "smtp_security": "none"}, "SMTP_SECURITY"),
        ({"vapid_subject": "ops"}, "vapid_subject"),
    ],
)
def test_wrong_settings(postgres: PostgresForTests, tmp_path: Path, wrong: dict[str, Any], named: str) -> None:
    """Settings that would send nothing, or a password in the clear, are refused at the start."""
    with pytest.raises(ValidationError, match=named):
        settings_for(postgres, "localhost:1", audit_keys_dir=tmp_path, **wrong)
