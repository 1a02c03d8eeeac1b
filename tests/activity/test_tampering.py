"""The log changed behind the service's back: it is found, and the first bad record is named."""

import asyncio
from dataclasses import dataclass
from uuid import uuid4

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from mirage.audit import checkpoint
from mirage.audit.canonical import canonical, parsed
from mirage.audit.merkle import Frontier
from mirage.audit.record import GENESIS, record_hash
from servicekit.timestamps import utc_now
from services.activity.audit_keys import AuditKeys, rotate
from services.activity.forgetting import destroy_key, forget_some
from tests.activity.platform import Platform, event, open_platform
from tests.activity.story import Reader, Story
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

SIGNED = 6  # by the first checkpoint, the second covers everything
RECORDS = 12


@dataclass(frozen=True)
class Tampering:
    """Something done to the log, and what is to be found."""

    name: str
    statements: tuple[str, ...]
    reason: str
    first: int
    last: int = 0  # where it is another than the first


def change(column: str, value: str, reason: str = "COLUMN_CHANGED", seq: int = 4) -> Tampering:
    """One column of one record is set to something else."""
    statement = f"UPDATE records SET {column} = {value} WHERE seq = {seq}"
    return Tampering(f"{column} = {value}", (statement,), reason, seq)


STRANGER = f"'{uuid4()}'"
TAMPERINGS = [
    change("event_id", "gen_random_uuid()"),
    change("kind", "'job.failed'"),
    change("service", "'dataset'"),
    change("occurred_time", "occurred_time - interval '1 microsecond'"),
    change("recorded_time", "recorded_time + interval '1 hour'"),
    change("clock_offset_seconds", "3600.5"),
    change("actor_id", STRANGER),
    change("owner_id", STRANGER),
    change("owner_id", "(SELECT owner_id FROM records WHERE seq = 9)"),
    change("actor_role", "'administrator'"),
    change("object_type", "'model'"),
    change("object_id", STRANGER),
    change("related", "'{}'"),
    change("related", f"related || jsonb_build_object('dataset_id', {STRANGER}::text)"),
    change("attributes", "attributes || '{\"quality_score\": 0.876}'"),
    change("attributes", "attributes || '{\"header\": 1}'"),  # was true
    change("attributes", "attributes - 'rows'"),
    change("sealed", "'\\x00'"),
    change("sealed", "''"),
    change("request_id", "''"),
    change("trace_id", "''"),
    change("text", "replace(text, '5000', '5001')", "RECORD_CHANGED"),
    change("text", "text || ' '", "RECORD_CHANGED"),
    change("text", "''", "RECORD_CHANGED"),
    change("hash", "sha256('')", "RECORD_CHANGED"),
    change("previous_hash", "sha256('')", "CHAIN_BROKEN"),
    change("kind", "'job.failed'", seq=1),
    change("kind", "'job.failed'", seq=RECORDS),
    Tampering("deleted", ("DELETE FROM records WHERE seq = 5",), "RECORD_MISSING", 5),
    Tampering("the first deleted", ("DELETE FROM records WHERE seq = 1",), "RECORD_MISSING", 1),
    Tampering("the last deleted", (f"DELETE FROM records WHERE seq = {RECORDS}",), "LOG_TRUNCATED", RECORDS),
    Tampering("everything deleted", ("DELETE FROM records",), "LOG_TRUNCATED", 1),
    Tampering(
        "deleted, and the others moved up",
        (
            "DELETE FROM records WHERE seq = 5",
            "UPDATE records SET seq = seq - 1000 WHERE seq > 5",
            "UPDATE records SET seq = seq + 999 WHERE seq < 0",
        ),
        "CHAIN_BROKEN",
        5,
    ),
    Tampering(
        "inserted, and the others moved down",
        (
            "UPDATE records SET seq = seq + 1000 WHERE seq >= 5",
            "UPDATE records SET seq = seq - 999 WHERE seq >= 1005",
            "CREATE TEMP TABLE added ON COMMIT DROP AS TABLE records",
            "UPDATE added SET seq = 5, event_id = gen_random_uuid() WHERE seq = 4",
            "INSERT INTO records SELECT * FROM added WHERE seq = 5 AND event_id NOT IN (SELECT event_id FROM records)",
        ),
        "CHAIN_BROKEN",
        5,
    ),
    Tampering(
        "added behind the last",
        (
            "CREATE TEMP TABLE added ON COMMIT DROP AS TABLE records",
            f"UPDATE added SET seq = {RECORDS + 1}, event_id = gen_random_uuid() WHERE seq = 4",
            f"INSERT INTO records SELECT * FROM added WHERE seq = {RECORDS + 1}",
        ),
        "CHAIN_BROKEN",
        RECORDS + 1,
    ),
    Tampering(
        "reordered",
        (
            "UPDATE records SET seq = 1000 WHERE seq = 4",
            "UPDATE records SET seq = 4 WHERE seq = 5",
            "UPDATE records SET seq = 5 WHERE seq = 1000",
        ),
        "CHAIN_BROKEN",
        4,
    ),
    Tampering(
        "hashes swapped",
        (
            "CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT seq, hash FROM records",
            "UPDATE records SET hash = kept.hash FROM kept WHERE kept.seq = 9 - records.seq AND records.seq IN (4, 5)",
        ),
        "RECORD_CHANGED",
        4,
    ),
    Tampering("a person's key deleted", ("DELETE FROM people WHERE key IS NOT NULL",), "COLUMN_CHANGED", 1),
    Tampering("a person's key replaced", ("UPDATE people SET key = sha256(key)",), "COLUMN_CHANGED", 1),
    Tampering("a checkpoint replaced", ("UPDATE checkpoints SET token = 'e30.e30.e30'",), "CHECKPOINT_FORGED", 1, 6),
    Tampering(
        "a checkpoint of another place",
        (f"UPDATE checkpoints SET token = (SELECT token FROM checkpoints WHERE size = {SIGNED})",),
        "CHECKPOINT_FORGED",
        SIGNED + 1,
        RECORDS,
    ),
    Tampering(
        "the end deleted with its checkpoint",
        (f"DELETE FROM records WHERE seq > {SIGNED}", f"DELETE FROM checkpoints WHERE size > {SIGNED}"),
        "LOG_TRUNCATED",
        SIGNED + 1,
    ),
    Tampering("everything deleted", ("DELETE FROM records", "DELETE FROM checkpoints"), "LOG_TRUNCATED", 1),
]


async def execute(platform: Platform, *statements: str) -> None:
    """Does something to the database behind the service's back."""
    async with platform.database.sessions.begin() as session:
        for statement in statements:
            # Statements are not templates: what looks like a parameter in JSON is none.
            await (await session.connection()).exec_driver_sql(statement)


async def write(platform: Platform, story: Story) -> None:
    """A log of a story among others', with two checkpoints."""
    reader = Reader(platform, story.owner_id)
    told = [event(attributes={"rows": 5000, "header": True, "quality_score": 0.875}) for _ in range(RECORDS)]
    told[7:9] = story.events[2:4]
    await platform.record(*told[:SIGNED])
    await Reader(platform, administrator=True).verify_log()
    await platform.record(*told[SIGNED:])
    assert (await reader.verify(story.job_id)).intact
    await execute(platform, *(f"CREATE TABLE saved_{table} AS TABLE {table}" for table in TABLES))


TABLES = ("records", "people", "checkpoints")


async def restore(platform: Platform) -> None:
    """The log as it was written."""
    for table in TABLES:
        await execute(platform, f"TRUNCATE {table}", f"INSERT INTO {table} SELECT * FROM saved_{table}")


async def test_every_change_is_found(platform: Platform) -> None:
    """Whatever is changed, deleted, inserted or reordered is found by both calls, which name the first bad record."""
    story = Story()
    await write(platform, story)
    reader, administrator = Reader(platform, story.owner_id), Reader(platform, administrator=True)
    try:
        for tampering in TAMPERINGS:
            await execute(platform, *tampering.statements)
            log = await administrator.verify_log()
            assert (log.intact, log.reason, log.first_bad_seq, log.last_possible_seq) == (
                False,
                tampering.reason,
                tampering.first,
                tampering.last or tampering.first,
            ), tampering.name
            assert str(tampering.first) in log.description, tampering.name
            if "deleted" not in tampering.name:
                verdict = await reader.verify(story.job_id)
                assert (verdict.intact, verdict.log.first_bad_seq) == (False, tampering.first), tampering.name
                assert verdict.concerns_object == (tampering.first <= 8 and tampering.last >= 8), tampering.name
            await restore(platform)
        assert (await administrator.verify_log()).intact
        await execute(platform, "UPDATE records SET kind = 'job.failed' WHERE seq = 9")
        verdict = await reader.verify(story.job_id)
        assert (verdict.intact, verdict.concerns_object, verdict.log.first_bad_seq) == (False, True, 9)
    finally:
        await execute(platform, *(f"DROP TABLE saved_{table}" for table in TABLES))


async def recompute(platform: Platform, seq: int) -> None:
    """Changes a record, and computes every hash from there on, as whoever can write the database could."""
    previous = GENESIS
    for record in await platform.records():
        told = parsed(record.text)
        if record.seq == seq:
            told["attributes"]["rows"] = 1
            await execute(
                platform,
                f"UPDATE records SET attributes = attributes || '{{\"rows\": 1}}' WHERE seq = {seq}",
            )
        spelled = canonical(told)
        own = record_hash(previous, spelled)
        async with platform.database.sessions.begin() as session:
            await session.execute(
                text("UPDATE records SET text = :text, previous_hash = :previous, hash = :hash WHERE seq = :seq"),
                {"text": spelled.decode(), "previous": previous, "hash": own, "seq": record.seq},
            )
        previous = own


async def test_a_chain_computed_anew(platform: Platform) -> None:
    """A whole new chain that holds together isn't the one that was signed: the records it may begin at are named."""
    await write(platform, Story())
    await execute(platform, *(f"DROP TABLE saved_{table}" for table in TABLES))
    await recompute(platform, SIGNED + 3)
    administrator = Reader(platform, administrator=True)
    log = await administrator.verify_log()
    assert (log.intact, log.reason) == (False, "NOT_AS_SIGNED")
    assert (log.first_bad_seq, log.last_possible_seq, log.signed_records) == (SIGNED + 1, RECORDS, SIGNED)
    # Nor does it help to throw away what was signed, or to sign it with another key.
    await execute(platform, f"DELETE FROM checkpoints WHERE size > {SIGNED}")
    log = await administrator.verify_log()
    assert (log.reason, log.first_bad_seq, log.last_possible_seq) == ("NOT_AS_SIGNED", SIGNED + 1, RECORDS)
    frontier = Frontier()
    records = await platform.records()
    frontier.extend(record.hash for record in records)
    forged = checkpoint.sign(frontier, records[-1].hash, utc_now(), ec.generate_private_key(ec.SECP256R1()))
    await execute(platform, f"INSERT INTO checkpoints VALUES ({RECORDS}, '{forged}')")
    log = await administrator.verify_log()
    assert (log.intact, log.first_bad_seq, log.last_possible_seq) == (False, SIGNED + 1, RECORDS)


async def test_what_was_changed_is_not_signed(platform: Platform) -> None:
    """Records that were changed before they were signed stay unsigned, however often it is tried."""
    administrator = Reader(platform, administrator=True)
    await platform.record(event(), event())
    assert (await administrator.verify_log()).checkpoints == 1
    await platform.record(event(), event())
    await execute(platform, "UPDATE records SET kind = 'job.failed' WHERE seq = 4")
    for _ in range(2):
        log = await administrator.verify_log()
        assert (log.reason, log.first_bad_seq, log.signed_records, log.checkpoints) == ("COLUMN_CHANGED", 4, 2, 1)


async def test_a_log_that_lost_its_end_is_not_signed_on(
    postgres: PostgresForTests, tokens: Tokens, platform: Platform
) -> None:
    """A service that starts on a log without its end finds what is missing, for it keeps what it signed elsewhere."""
    await write(platform, Story())
    await execute(
        platform,
        *(f"DROP TABLE saved_{table}" for table in TABLES),
        f"DELETE FROM records WHERE seq > {SIGNED}",
        f"DELETE FROM checkpoints WHERE size > {SIGNED}",
    )
    keys = platform.settings.audit_keys_dir
    async with open_platform(postgres, tokens, empty=False, audit_keys_dir=keys, checkpoint_seconds=0.1) as later:
        await later.record(event())
        log = await Reader(later, administrator=True).verify_log()
        assert (log.intact, log.reason, log.first_bad_seq) == (False, "LOG_TRUNCATED", SIGNED + 2)
        assert log.signed_records == SIGNED
        async with refused("LOG_NOT_INTACT", grpc.StatusCode.DATA_LOSS):
            await Reader(later, administrator=True).export((await later.records())[0].object_id)


async def test_checkpoints_by_themselves(postgres: PostgresForTests, tokens: Tokens) -> None:
    """What is recorded is signed within the time that is set, also by several copies of the service at once."""
    async with (
        open_platform(postgres, tokens, checkpoint_seconds=0.1) as platform,
        open_platform(
            postgres, tokens, empty=False, checkpoint_seconds=0.1, audit_keys_dir=platform.settings.audit_keys_dir
        ) as copy,
    ):
        for number in range(1, 4):
            await (platform if number % 2 else copy).record(event(), event())
            async with asyncio.timeout(20):
                while await signed_size(platform) < 2 * number:  # noqa: ASYNC110 - it happens in the database
                    await asyncio.sleep(0.02)
        log = await Reader(copy, administrator=True).verify_log()
        assert (log.intact, log.signed_records) == (True, 6)


async def test_a_new_key_takes_over(postgres: PostgresForTests, tokens: Tokens) -> None:
    """After a rotation the old key's private half is gone, and what it signed is still checked."""
    async with open_platform(postgres, tokens) as platform:
        administrator = Reader(platform, administrator=True)
        await platform.record(event())
        assert (await administrator.verify_log()).intact
        directory = platform.settings.audit_keys_dir
        [old] = directory.glob("*.pem")
        old = old.rename(directory / "20200101T000000Z.pem")
        rotate(directory)
        await platform.record(event())
        log = await administrator.verify_log()
        assert (log.intact, log.checkpoints, log.signed_records) == (True, 2, 2)
        assert len(AuditKeys(directory).public) == 2
        assert "PRIVATE" not in old.read_text()


async def signed_size(platform: Platform) -> int:
    """How many records are signed."""
    async with platform.database.sessions() as session:
        return int(await session.scalar(text("SELECT coalesce(max(size), 0) FROM checkpoints")) or 0)


async def test_the_check_while_somebody_is_forgotten(platform: Platform) -> None:
    """Between a key's end and the last column's emptying the log is no less intact."""
    person = uuid4()
    await platform.record(*(event(actor_id=str(person), owner_id=str(person)) for _ in range(3)))
    async with platform.database.sessions.begin() as session:
        await destroy_key(session, person)
    administrator = Reader(platform, administrator=True)
    assert (await administrator.verify_log()).intact
    async with platform.database.sessions.begin() as session:
        assert await forget_some(session, person, 1)
    assert (await administrator.verify_log()).intact
