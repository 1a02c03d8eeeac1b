"""What the dataset service tells the platform's log."""

import hashlib

import grpc
import grpc.aio
import pytest

from tests.dataset.service.platform import CSV, Client, Platform
from tests.support.outbox import attributes, kinds, personal, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE = b"name,email\n" + b"".join(f"Ada Lovelace,ada{row}@example.org\n".encode() for row in range(40))


async def test_a_dataset_from_upload_to_end(platform: Platform, user: Client) -> None:
    """An upload, a version, a change, downloads and the end of a dataset are told, each once, in order."""
    dataset = await user.upload(content_type="text/csv", name="people")
    await user.add_version(dataset.dataset_id, CSV + b"2000,30,Graz,2024-01-17\n")
    await user.update(dataset.dataset_id, name="others", description="new")
    await user.export(dataset.dataset_id, "jsonl", version=1)
    await user.url(dataset.dataset_id)
    await user.delete(dataset.dataset_id)
    events = await told(platform.database, str(user.user_id))
    assert [event.kind for event in events] == [
        "dataset.uploaded",
        "dataset.version_added",
        "dataset.updated",
        "dataset.exported",
        "dataset.exported",
        "dataset.deleted",
    ]
    assert {(event.object_type, event.object_id) for event in events} == {("dataset", dataset.dataset_id)}
    uploaded, added, updated, exported, signed, _ = events
    facts = attributes(uploaded)
    assert (facts["rows"], facts["columns"], facts["format"], facts["bytes"]) == (60, 4, "csv", len(CSV))
    assert facts["source_sha256"] == hashlib.sha256(CSV).hexdigest()
    assert len(facts["table_sha256"]) == 64
    assert uploaded.related["dataset_version_id"] == f"{dataset.dataset_id}:1"
    assert (added.related["dataset_version_id"], attributes(added)["rows"]) == (f"{dataset.dataset_id}:2", 61)
    assert attributes(updated) == {"version": 2, "fields": ["description", "name"]}
    assert attributes(exported) == {"version": 1, "format": "jsonl", "way": "stream"}
    assert (attributes(signed)["way"], attributes(signed)["format"]) == ("url", "parquet")
    assert exported.actor_id == str(user.user_id)


async def test_personal_data(platform: Platform, user: Client) -> None:
    """What kinds of personal data were found is told, and that the owner lets everybody read them; no value is."""
    dataset = await user.upload(PEOPLE)
    await user.update(dataset.dataset_id, visibility="public", confirm_personal_data=True)
    reader = platform.user()
    await reader.export(dataset.dataset_id)
    events = await told(platform.database, str(user.user_id))
    assert [event.kind for event in events] == [
        "dataset.uploaded",
        "dataset.personal_data_found",
        "dataset.published",
        "dataset.updated",
        "dataset.exported",
    ]
    assert attributes(events[1]) == {"version": 1, "kinds": ["email"], "columns": 1}
    assert attributes(events[2])["personal_data"] == ["email"]
    assert (events[4].actor_id, events[4].owner_id) == (str(reader.user_id), str(user.user_id))
    assert not [event for event in events if b"Lovelace" in event.SerializeToString()]


async def test_a_file_that_can_not_be_read(platform: Platform, user: Client) -> None:
    """A file that fails is told with the reason, though nothing else of it is left."""
    with pytest.raises(grpc.aio.AioRpcError):
        await user.upload(b"\x00\x01", name="broken")
    [failed, deleted] = await told(platform.database, str(user.user_id))
    assert (failed.kind, deleted.kind) == ("dataset.failed", "dataset.deleted")
    assert attributes(failed)["reason"]
    assert attributes(failed)["bytes"] == 2


async def test_nothing_is_told_of_what_was_refused(platform: Platform, user: Client) -> None:
    """A change that is refused, and a look at somebody else's dataset, leave no event."""
    dataset = await user.upload()
    before = await kinds(platform.database, str(user.user_id))
    with pytest.raises(grpc.aio.AioRpcError):
        await user.update(dataset.dataset_id, visibility="everybody")
    with pytest.raises(grpc.aio.AioRpcError):
        await platform.user().export(dataset.dataset_id)
    assert await kinds(platform.database, str(user.user_id)) == before


async def test_names_of_files_are_personal(platform: Platform, user: Client) -> None:
    """What a person called their file is told among what may name somebody."""
    content = b'--b\r\nContent-Disposition: form-data; name="file"; filename="ada.csv"\r\n\r\n' + CSV + b"\r\n--b--\r\n"
    await user.upload_form(content, pieces=4096)
    [uploaded] = await told(platform.database, str(user.user_id))
    assert personal(uploaded) == {"name": "ada", "file_name": "ada.csv"}
    assert "file_name" not in attributes(uploaded)
