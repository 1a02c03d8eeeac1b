"""What the log holds about somebody: told to them, and forgotten with their account, while the chain stays whole."""

from uuid import uuid4

from mirage.audit.people import COMMITMENT_PREFIX
from tests.activity.platform import Platform, event
from tests.activity.test_chain import assert_whole
from tests.support.holdings import Holdings
from tests.support.traces import traces


async def test_forgotten_in_the_log(platform: Platform) -> None:
    """Whoever is forgotten is in no row, in whatever part; others stay, so does every hash, whatever comes later."""
    ada, grace = str(uuid4()), str(uuid4())
    holdings = Holdings(platform.channel, platform.tokens)
    await platform.record(
        event("account.registered", owner_id=ada, actor_id=ada, object_type="account", object_id=ada),
        event("account.deactivated", owner_id=ada, actor_id=grace, object_type="account", object_id=ada),
        event("job.approved", owner_id=grace, actor_id=ada, related={"administrator_id": ada, "job_id": "7"}),
        event(owner_id=grace, actor_id=grace),
    )
    before = [(record.text, record.hash) for record in await platform.records()]
    assert await holdings.delete_all(ada) >= 3  # records, and what was counted and told of them
    assert await traces(platform.database.dsn, [ada, "ada@example.org"]) == []
    records = await platform.records()
    assert [(record.text, record.hash) for record in records] == before
    assert_whole(records)
    assert records[0].object_id.startswith(COMMITMENT_PREFIX)
    assert [(str(record.owner_id), str(record.actor_id)) for record in records[1:]] == [
        ("None", grace),
        (grace, "None"),
        (grace, grace),
    ]
    assert records[2].related["job_id"] == "7"
    await platform.record(event("account.deleted", owner_id=ada, actor_id=ada, object_type="account", object_id=ada))
    assert await holdings.delete_all(ada) == 0
    assert await traces(platform.database.dsn, [ada]) == []
    assert_whole(await platform.records())


async def test_told_to_their_person(platform: Platform) -> None:
    """An export has what somebody did and what happened to what is theirs, opened; of others' nothing is opened."""
    ada, grace = str(uuid4()), str(uuid4())
    holdings = Holdings(platform.channel, platform.tokens)
    await platform.record(
        event("job.created", owner_id=ada, actor_id=ada),
        event("job.approved", owner_id=grace, actor_id=ada, personal={"email": "grace@example.org"}),
        event("job.created", owner_id=grace, actor_id=grace),
    )
    told = (await holdings.export(ada))["records"]
    assert [(each["sequence"], each["kind"], each["personal"]) for each in told] == [
        (1, "job.created", {"email": "ada@example.org"}),
        (2, "job.approved", {}),
    ]
    assert (await holdings.export(uuid4()))["records"] == []
