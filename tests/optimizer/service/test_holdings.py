"""What is a user's: told in an export, gone with the account, while a study runs."""

import pytest
from sqlalchemy import text

from mirage.optimizer.v1 import study_pb2
from tests.optimizer.service.platform import Platform, until
from tests.support.errors import refused
from tests.support.holdings import Holdings
from tests.support.traces import traces

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_is_left(platform: Platform) -> None:
    """Studies that have ended and one that runs go with their trials and events; nothing new can be started."""
    user, other = platform.user(), platform.user()
    dataset_id = platform.peer.add_dataset(user.user_id)
    ended = await user.ended((await user.start(dataset_id)).study_id)
    kept = await other.ended((await other.start(platform.peer.add_dataset(other.user_id))).study_id)
    platform.peer.held = lambda number: number > 0
    running = await user.start(dataset_id)

    async def at_work() -> bool:
        return bool(await user.trials(running.study_id, state=study_pb2.TRIAL_STATE_RUNNING))

    await until(at_work)
    holdings = Holdings(platform.channel, platform.tokens)
    told = await holdings.export(user.user_id)
    assert {study["study_id"] for study in told["studies"]} == {ended.study_id, running.study_id}
    assert len([trial for trial in told["trials"] if trial["study_id"] == ended.study_id]) == 4
    assert {event["study_id"] for event in told["study_events"]} == {ended.study_id, running.study_id}
    assert await holdings.delete_all(user.user_id) == 2
    async with refused("STUDY_NOT_FOUND"):
        await user.get(running.study_id)
    async with refused("ACCOUNT_DELETED"):
        await user.start(dataset_id)
    async with platform.database.sessions.begin() as session:  # nobody delivers here
        await session.execute(text("DELETE FROM outbox"))
    assert await traces(platform.database.dsn, [str(user.user_id), ended.study_id]) == []
    assert await holdings.delete(user.user_id) == (0, 0)
    assert (await other.get(kept.study_id)).state == kept.state
