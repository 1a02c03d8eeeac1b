"""What the log holds about somebody: told to them, and forgotten with their account, while the chain stays whole."""

import json
from typing import Any
from uuid import uuid4

from mirage.audit.people import COMMITMENT_PREFIX
from mirage.holdings.v1 import holding_pb2, holding_pb2_grpc
from tests.activity.platform import Platform, event
from tests.activity.test_chain import assert_whole
from tests.support.traces import traces


def signed(platform: Platform) -> dict[str, Any]:
    return {"metadata": (("authorization", f"Bearer {platform.tokens.service('auth')}"),)}


async def forget(platform: Platform, user_id: str) -> int:
    """Has a user forgotten; returns how many things there were."""
    stub = holding_pb2_grpc.HoldingServiceStub(platform.channel)
    found = 0
    while True:
        request = holding_pb2.DeleteHoldingsRequest(user_id=user_id)
        answer = await stub.DeleteHoldings(request, **signed(platform))
        found += answer.found
        if not answer.found:
            return found


async def export(platform: Platform, user_id: str) -> dict[str, list[Any]]:
    """What is told of a user, by section."""
    stub = holding_pb2_grpc.HoldingServiceStub(platform.channel)
    sections: dict[str, list[Any]] = {}
    async for batch in stub.ExportHoldings(holding_pb2.ExportHoldingsRequest(user_id=user_id), **signed(platform)):
        sections.setdefault(batch.section, []).extend(map(json.loads, batch.records))
    return sections


async def test_forgotten_in_the_log(platform: Platform) -> None:
    """Whoever is forgotten is in no row, in whatever part; others stay, so does every hash, whatever comes later."""
    ada, grace = str(uuid4()), str(uuid4())
    await platform.record(
        event("account.registered", owner_id=ada, actor_id=ada, object_type="account", object_id=ada),
        event("account.deactivated", owner_id=ada, actor_id=grace, object_type="account", object_id=ada),
        event("job.approved", owner_id=grace, actor_id=ada, related={"administrator_id": ada, "job_id": "7"}),
        event(owner_id=grace, actor_id=grace),
    )
    before = [(record.text, record.hash) for record in await platform.records()]
    assert await forget(platform, ada) == 3
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
    assert await forget(platform, ada) == 0
    assert await traces(platform.database.dsn, [ada]) == []
    assert_whole(await platform.records())


async def test_told_to_their_person(platform: Platform) -> None:
    """An export has what somebody did and what happened to what is theirs, opened; of others' nothing is opened."""
    ada, grace = str(uuid4()), str(uuid4())
    await platform.record(
        event("job.created", owner_id=ada, actor_id=ada),
        event("job.approved", owner_id=grace, actor_id=ada, personal={"email": "grace@example.org"}),
        event("job.created", owner_id=grace, actor_id=grace),
    )
    told = (await export(platform, ada))["records"]
    assert [(each["sequence"], each["kind"], each["personal"]) for each in told] == [
        (1, "job.created", {"email": "ada@example.org"}),
        (2, "job.approved", {}),
    ]
    assert (await export(platform, str(uuid4())))["records"] == []
