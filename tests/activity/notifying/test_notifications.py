"""Notifications: made of what the log is told, once, for whom they concern, unless switched off."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest

from mirage.activity.v1 import notification_pb2
from services.activity.notifying.kinds import RULES, NotificationKind
from tests.activity.notifying.people import Person, happened_to
from tests.activity.platform import Platform
from tests.support.errors import refused


@pytest.fixture
def ada(platform: Platform) -> Person:
    return Person(platform)


async def test_whom_it_concerns(platform: Platform, ada: Person) -> None:
    """A job's end is told to its owner, with what it is called and what came of it, and to nobody else."""
    done = happened_to(
        ada, "job.succeeded", attributes={"rows": 5000, "quality_score": 0.9}, personal={"name": "flights tvae"}
    )
    await platform.record(done)
    [told] = await ada.told(1)
    assert (told.kind, told.object_type, told.object_id) == ("job_ended", "job", done.object_id)
    assert told.body == "Your job “flights tvae” made 5,000 rows; its quality score is 0.90."
    assert not told.HasField("read_time")
    assert not (await Person(platform).listed()).notifications


async def test_once(platform: Platform, ada: Person) -> None:
    """An event that comes again makes no second notification, and many are told in the order of the log."""
    events = [happened_to(ada, "job.failed", personal={"message": f"Reason {n}."}) for n in range(30)]
    await asyncio.gather(*(platform.record(*events) for _ in range(4)))
    told = await ada.told(30)
    assert [each.body for each in reversed(told)] == [f"Your job failed. Reason {n}." for n in range(30)]
    await platform.record(*events)
    await platform.record(happened_to(ada, "job.failed", personal={"message": "The last."}))
    assert len(await ada.told(31)) == 31


async def test_every_kind_has_words(platform: Platform) -> None:
    """Each event that concerns somebody is told in whole sentences, whatever is missing of it."""
    attributes = {"new_device": True, "fields": ["email"], "role": "administrator"}
    for kind, rule in RULES.items():
        someone, other = Person(platform), str(uuid4())
        happened = happened_to(someone, kind, actor_id=other, attributes=attributes, object_id=str(uuid4()))
        if rule.to_administrators:
            registered = happened_to(
                someone, "account.registered", attributes={"role": "administrator"}, object_type="account"
            )
            registered.object_id = someone.id
            happened.owner_id = other
            await platform.record(registered)
        earlier = [happened_to(someone, kind, actor_id="") for _ in range(rule.at_count - 1)]
        await platform.record(*earlier, happened)
        [told] = await someone.told(1)
        assert told.kind == rule.kind
        assert told.title[0].isupper()
        assert told.body.endswith(".")
        assert "None" not in told.body


async def test_what_is_no_news(platform: Platform, ada: Person) -> None:
    """What somebody did themselves, a known device and a new display name are not told; a job's own search neither."""
    await platform.record(
        happened_to(ada, "job.cancelled"),
        happened_to(ada, "study.stopped"),
        happened_to(ada, "session.started", attributes={"new_device": False}),
        happened_to(ada, "account.updated", attributes={"fields": ["display_name"]}),
        happened_to(ada, "study.succeeded", related={"job_id": str(uuid4())}),
        happened_to(ada, "job.created"),
        happened_to(ada, "something.new"),
        happened_to(ada, "account.password_changed"),
    )
    [told] = await ada.told(1)
    assert told.kind == "account_changed"


async def test_administrators_are_asked(platform: Platform, ada: Person) -> None:
    """A job that waits for approval is told to everybody who is an administrator then, and not to its owner."""
    chief, former = Person(platform), Person(platform)
    for person, role in ((ada, "user"), (chief, "user"), (former, "administrator")):
        registered = happened_to(person, "account.registered", attributes={"role": role}, object_type="account")
        registered.object_id = person.id
        await platform.record(registered)
    await platform.record(
        happened_to(chief, "account.role_changed", attributes={"role": "administrator"}, actor_id=former.id),
        happened_to(former, "account.role_changed", attributes={"role": "user"}, actor_id=chief.id),
    )
    await platform.record(happened_to(ada, "job.approval_requested", attributes={"sample_size": 5000}))
    asked = (await chief.told(2))[0]
    assert (asked.kind, asked.body) == ("approval_asked", "Somebody asks for 5,000 rows made from a dataset.")
    assert not (await ada.listed()).notifications
    assert [each.kind for each in await former.told(1)] == ["account_changed"]


async def test_reading_and_deleting(platform: Platform, ada: Person) -> None:
    """Some or all are marked as read, once; a deleted one is gone; others' are out of reach."""
    await platform.record(*(happened_to(ada, "job.succeeded") for _ in range(4)))
    told = await ada.told(4)
    other = Person(platform)
    ids = [each.notification_id for each in told[:2]]

    async def read(person: Person, **fields: Any) -> notification_pb2.ReadNotificationsResponse:
        request = notification_pb2.ReadNotificationsRequest(**fields)
        answer: notification_pb2.ReadNotificationsResponse = await person.stub.ReadNotifications(
            request, metadata=person.metadata
        )
        return answer

    assert (await read(other, notification_ids=ids)).read_count == 0
    assert (await read(ada, notification_ids=ids)).read_count == 2
    again = await read(ada, notification_ids=ids)
    assert (again.read_count, again.unread_count) == (0, 2)
    assert [each.notification_id for each in (await ada.listed(unread_only=True)).notifications] == [
        each.notification_id for each in told[2:]
    ]
    gone = notification_pb2.DeleteNotificationRequest(notification_id=told[2].notification_id)
    async with refused("NOTIFICATION_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        await other.stub.DeleteNotification(gone, metadata=other.metadata)
    for _ in range(2):
        await ada.stub.DeleteNotification(gone, metadata=ada.metadata)
    assert (await read(ada, all=True)).read_count == 1
    assert (await ada.listed()).unread_count == 0
    for wrong in ({}, {"all": True, "notification_ids": ids}):
        async with refused("INVALID_REQUEST") as refusal:
            await read(ada, **wrong)
        assert set(refusal.violations) == {"notification_ids"}


async def test_pages(platform: Platform, ada: Person) -> None:
    """Pages follow each other without a gap or a double; a token is good for its own list and owner only."""
    await platform.record(*(happened_to(ada, "job.succeeded") for _ in range(25)))
    whole = [each.notification_id for each in await ada.told(25)]
    found, token = [], ""
    while True:
        page = await ada.listed(page_size=10, page_token=token)
        found += [each.notification_id for each in page.notifications]
        token = page.next_page_token
        if not token:
            break
        stolen = token
    assert found == whole
    for person, fields in ((Person(platform), {}), (ada, {"unread_only": True})):
        async with refused("INVALID_REQUEST") as refusal:
            await person.listed(page_token=stolen, **fields)
        assert set(refusal.violations) == {"page_token"}


async def test_live(platform: Platform, ada: Person) -> None:
    """A watcher gets new ones as they come, and after a break those since the last token, without a gap or a double."""
    await platform.record(happened_to(ada, "job.succeeded"))
    await ada.told(1)
    stream = ada.watch()
    opening = await anext(stream)
    assert not opening.HasField("notification")
    assert opening.unread_count == 1
    await platform.record(happened_to(ada, "job.failed"))
    event_ = await anext(stream)
    assert (event_.notification.title, event_.unread_count) == ("A job failed", 2)
    ada.watching.cancel()
    await platform.record(
        happened_to(ada, "study.failed"), happened_to(Person(platform), "job.failed"), happened_to(ada, "job.succeeded")
    )
    await ada.told(4)
    resumed = ada.watch(event_.resume_token)
    assert not (await anext(resumed)).HasField("notification")
    assert [(await anext(resumed)).notification.title for _ in range(2)] == ["A search failed", "A job is done"]
    async with refused("INVALID_REQUEST"):
        await anext(Person(platform).watch(event_.resume_token))


async def test_switched_off(platform: Platform, ada: Person) -> None:
    """A kind that is switched off makes nothing; the others go on, and what isn't named stays."""
    before = await ada.stub.GetNotificationPreferences(
        notification_pb2.GetNotificationPreferencesRequest(), metadata=ada.metadata
    )
    assert [each.kind for each in before.kinds] == list(NotificationKind)
    assert all(each.enabled and each.push and each.description for each in before.kinds)
    assert not before.email_available
    changed = await ada.set({"kind": "job_ended", "enabled": False}, {"kind": "study_ended", "email": True})
    told = {each.kind: (each.enabled, each.push, each.email) for each in changed.kinds}
    assert told["job_ended"] == (False, True, False)
    assert told["study_ended"] == (True, True, True)
    await platform.record(happened_to(ada, "job.succeeded"), happened_to(ada, "study.succeeded"))
    assert [each.kind for each in await ada.told(1)] == ["study_ended"]


async def test_wrong_preferences(platform: Platform, ada: Person) -> None:
    """An unknown kind, one that is named twice and nothing at all are refused, and nothing is changed."""
    async with refused("INVALID_REQUEST") as refusal:
        await ada.set({"kind": "job_ended", "enabled": False}, {"kind": "weather"}, {})
    assert set(refusal.violations) == {"kinds.1.kind", "kinds.2.kind"}
    async with refused("INVALID_REQUEST") as refusal:
        await ada.set({"kind": "job_ended", "enabled": False}, {"kind": "job_ended"})
    assert set(refusal.violations) == {"kinds.1.kind"}
    async with refused("INVALID_REQUEST"):
        await ada.set()
    assert all(each.enabled for each in (await ada.set({"kind": "job_ended"})).kinds)
