"""Where a table came from: the chain, who may see it, the signed document, and what is left of who was forgotten."""

import json
from uuid import uuid4

import grpc
from sqlalchemy import text

from mirage.audit import document, signing
from servicekit.structs import from_struct
from services.activity.holdings import Holdings
from tests.activity.platform import Platform, event
from tests.activity.story import KINDS, Reader, Story, key_set
from tests.support.errors import refused


async def test_the_chain_by_any_of_its_ids(platform: Platform) -> None:
    """From the upload to the download in order, whichever id of table, job, model or study is given."""
    story, other = Story(), Story()
    for mixed in zip(story.events, other.events, strict=True):
        await platform.record(*mixed)
    reader = Reader(platform, story.owner_id)
    for object_id in (story.job_id, story.study_id, story.dataset_id, f"{story.dataset_id}:1", story.model_id):
        chain = await reader.chain(object_id)
        assert chain.complete
        kinds = [record.kind for record in chain.records]
        if object_id in (story.job_id, story.model_id):
            assert kinds == KINDS
            stages = ["upload", "search", "job", "job", "report", "download"]
            assert [record.stage for record in chain.records] == stages
        else:
            assert kinds
            assert set(kinds) <= set(KINDS)
        assert {record.owner_id for record in chain.records} == {str(story.owner_id)}
    [upload, *_] = (await reader.chain(story.job_id)).records
    assert from_struct(upload.personal) == {"file_name": "ada-lovelace.csv"}
    assert from_struct(upload.attributes)["source_sha256"] == "a" * 64


async def test_what_is_not_behind_it(platform: Platform) -> None:
    """Of a dataset's other versions, exports and tables, and of another table of the same model, nothing is shown."""
    story, sibling = Story(), Story()
    sibling.owner_id, sibling.dataset_id, sibling.model_id = story.owner_id, story.dataset_id, story.model_id
    owner = str(story.owner_id)
    beside = [
        event(kind, owner_id=owner, object_type="dataset", object_id=story.dataset_id, related=related)
        for kind, related in (
            ("dataset.version_added", {"dataset_version_id": f"{story.dataset_id}:2"}),
            ("dataset.exported", {"dataset_version_id": f"{story.dataset_id}:1"}),
        )
    ]
    published = {"object_type": "dataset", "object_id": story.dataset_id, "owner_id": owner, "related": {}}
    beside.append(event("dataset.published", **published))
    await platform.record(*story.events, *sibling.events[2:], *beside)
    chain = await Reader(platform, story.owner_id).chain(story.job_id)
    assert [record.kind for record in chain.records] == [*KINDS, "dataset.published"]
    assert sibling.job_id not in str(chain)


async def test_somebody_elses_is_not_found(platform: Platform) -> None:
    """Another user is told that there is no such thing, by each of the three calls; an administrator sees it."""
    story = Story()
    await platform.record(*story.events)
    stranger = Reader(platform)
    for call in (stranger.chain, stranger.verify, stranger.export):
        for object_id in (story.job_id, story.dataset_id, str(uuid4()), "", "\0", "'", "x" * 10_000):
            async with refused("PROVENANCE_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
                await call(object_id)
    chain = await Reader(platform, administrator=True).chain(story.job_id)
    assert [record.kind for record in chain.records] == KINDS
    assert {record.owner_id for record in chain.records} == {str(story.owner_id)}
    assert not any(record.personal.fields for record in chain.records)


async def test_a_public_dataset_of_somebody_else(platform: Platform) -> None:
    """A table made of somebody's public dataset shows that dataset's upload, without whose it is; not the reverse."""
    source, story = Story(), Story()
    story.dataset_id = source.dataset_id
    await platform.record(source.events[0], *story.events[1:])
    chain = await Reader(platform, story.owner_id).chain(story.job_id)
    assert [record.kind for record in chain.records] == KINDS
    assert (chain.records[0].owner_id, chain.records[0].actor_id) == ("", "")
    assert not chain.records[0].personal.fields
    theirs = await Reader(platform, source.owner_id).chain(source.dataset_id)
    assert [record.kind for record in theirs.records] == ["dataset.uploaded"]


async def test_intact(platform: Platform) -> None:
    """What nobody touched is intact, every record of it signed, whoever asks how often."""
    story = Story()
    await platform.record(event(), *story.events, event())
    verdict = await Reader(platform, story.owner_id).verify(story.job_id)
    assert (verdict.intact, verdict.records, verdict.concerns_object) == (True, len(KINDS), False)
    assert (verdict.log.records, verdict.log.signed_records, verdict.log.first_bad_seq) == (8, 8, 0)
    assert await platform.count() == 8
    log = await Reader(platform, administrator=True).verify_log()
    assert (log.intact, log.records, log.checkpoints) == (True, 8, 1)
    assert all(record.signed for record in (await Reader(platform, story.owner_id).chain(story.job_id)).records)


async def test_an_empty_log_is_intact(platform: Platform) -> None:
    """There is nothing wrong where there is nothing."""
    log = await Reader(platform, administrator=True).verify_log()
    assert (log.intact, log.records, log.checkpoints) == (True, 0, 0)


async def test_only_administrators_check_the_log(platform: Platform) -> None:
    """A user may check what is theirs, not the log alone; anybody gets the public keys."""
    async with refused("PERMISSION_DENIED", grpc.StatusCode.PERMISSION_DENIED):
        await Reader(platform).verify_log()
    assert signing.parsed_keys(await key_set(platform))


async def test_the_document_proves_itself(platform: Platform) -> None:
    """An export is checked with the public keys alone, names its reader, and nobody else."""
    source, story = Story(), Story()
    story.dataset_id = source.dataset_id
    await platform.record(source.events[0])
    await platform.record(*(event() for _ in range(20)))
    reader = Reader(platform, story.owner_id)
    await platform.record(*story.events[1:4])
    await reader.verify(story.job_id)  # signs
    await platform.record(*(event() for _ in range(5)))
    await platform.record(*story.events[4:])
    text = await reader.export(story.job_id)
    verdict = document.check(text, signing.parsed_keys(await key_set(platform)))
    assert (verdict.intact, verdict.fault, verdict.object_id) == (True, "", story.job_id)
    assert [record["kind"] for record in verdict.records] == KINDS
    assert len(json.loads(text)["checkpoints"]) == 2
    assert str(story.owner_id).encode() in text
    assert str(source.owner_id).encode() not in text
    assert b"ada-lovelace" not in text


async def test_no_document_of_what_was_changed(platform: Platform) -> None:
    """What was tampered with is not exported as if it were proven."""
    story = Story()
    await platform.record(*story.events)
    reader = Reader(platform, story.owner_id)
    await reader.export(story.job_id)
    async with platform.database.sessions.begin() as session:
        await session.execute(text("UPDATE records SET text = replace(text, '42', '43') WHERE kind = 'job.created'"))
    async with refused("LOG_NOT_INTACT", grpc.StatusCode.DATA_LOSS):
        await reader.export(story.job_id)


async def test_nothing_is_left_of_who_was_forgotten(platform: Platform) -> None:
    """After an account is deleted the log is intact, and nothing in any table or export names the person."""
    story = Story()
    person = str(story.owner_id)
    await platform.record(*story.events, event("account.updated", object_type="account", object_id=person))
    administrator = Reader(platform, administrator=True)
    before = await administrator.verify_log()
    hashes = [record.hash for record in await platform.records()]
    assert (await Holdings(platform.database.sessions).delete(story.owner_id)).found
    after = await administrator.verify_log()
    assert (after.intact, after.records, after.signed_records) == (True, before.records, before.records)
    assert [record.hash for record in await platform.records()] == hashes
    assert [record.kind for record in (await administrator.chain(story.job_id)).records] == KINDS
    exported = await administrator.export(story.job_id)
    assert document.check(exported, signing.parsed_keys(await key_set(platform))).intact
    for dumped in (await everything(platform), exported.decode()):
        assert "table.downloaded" in dumped
        for secret in (person, person.replace("-", ""), "ada-lovelace", "ada@example.org"):
            assert secret not in dumped
    async with refused("PROVENANCE_NOT_FOUND"):
        await Reader(platform, story.owner_id).chain(story.job_id)


async def everything(platform: Platform) -> str:
    """Every row of every table of the service, as text, with what is binary in hexadecimal digits and as it is."""
    found = []
    async with platform.database.sessions() as session:
        tables = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
        for table in tables.all():
            for row in await session.execute(text(f"SELECT * FROM {table}")):  # noqa: S608 - our own tables
                for value in row:
                    if isinstance(value, bytes):
                        found += [value.hex(), value.decode(errors="replace")]
                    else:
                        found.append(str(value))
    return "\n".join(found)
