"""Watching a dataset: every event once, in order, from any point on, to the last."""

import asyncio

import pytest

from mirage.dataset.v1 import dataset_pb2 as pb
from tests.dataset.service.platform import Client, Platform, until
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAGES = ["received", "reading", "profiling", "storing", "ready"]


def distinct_stages(events: list[pb.DatasetEvent]) -> list[str]:
    """The stages, each once where it comes several times in a row."""
    stages = [event.stage for event in events]
    return [stage for index, stage in enumerate(stages) if index == 0 or stages[index - 1] != stage]


async def test_the_way_of_a_dataset(user: Client) -> None:
    """A dataset is received, read, profiled, stored and ready, with progress that only grows."""
    dataset = await user.upload(wait=False)
    events = await user.events(dataset.dataset_id)
    assert distinct_stages(events) == STAGES
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    progress = [event.progress for event in events]
    assert progress == sorted(progress)
    assert (progress[-1], events[-1].rows_read, events[-1].version) == (1.0, 60, 1)


async def test_resuming_anywhere(user: Client) -> None:
    """Whoever drops off after any event and resumes from its token misses nothing and sees nothing twice."""
    dataset = await user.upload()
    whole = await user.events(dataset.dataset_id)
    for event in whole:
        assert await user.events(dataset.dataset_id, event.resume_token) == whole[event.sequence :]


async def test_a_version_reopens_the_stream(user: Client) -> None:
    """While a new version is read in, watchers from the beginning and from the last event both see it to its end."""
    dataset = await user.upload()
    before = await user.events(dataset.dataset_id)
    await user.add_version(dataset.dataset_id, wait=False)
    whole, rest = await asyncio.gather(
        user.events(dataset.dataset_id), user.events(dataset.dataset_id, before[-1].resume_token)
    )
    assert whole == [*before, *rest]
    assert {event.version for event in rest} == {2}
    assert distinct_stages(rest) == STAGES


async def test_a_dataset_deleted_while_watched(platform: Platform) -> None:
    """A watcher of a dataset that is deleted in the middle gets a last event that says so; nothing is left of it."""
    user = platform.user()
    content = b"number,text\n" + b"".join(b"%d,text %d\n" % (number, number) for number in range(200_000))
    dataset = await user.upload(content, wait=False)
    watcher = asyncio.create_task(user.events(dataset.dataset_id))
    await user.delete(dataset.dataset_id)
    async with asyncio.timeout(30):
        last = (await watcher)[-1]
        assert (last.state, last.stage) == (pb.DATASET_STATE_FAILED, "failed")
        assert "deleted" in last.error.message
    await until(lambda: platform.nothing_left(user))


async def test_wrong_tokens(user: Client) -> None:
    """A made-up token and another dataset's are refused."""
    one, other = await user.upload(), await user.upload()
    token = (await user.events(other.dataset_id))[0].resume_token
    for wrong in ("made-up", token):
        async with refused("INVALID_REQUEST") as refusal:
            await user.events(one.dataset_id, wrong)
        assert "resume_token" in refusal.violations
