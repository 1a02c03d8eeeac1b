"""A chain of records as a signed document that proves itself."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mirage.audit import checkpoint, document, signing
from mirage.audit.document import ProvenRecord
from mirage.audit.merkle import inclusion_proof
from mirage.audit.people import naming_key
from servicekit.timestamps import utc_now
from services.activity import audit_repository as repository
from services.activity.audit_keys import AuditKeys
from services.activity.errors import LogNotIntact
from services.activity.models import Record


async def document_of(
    session: AsyncSession, object_id: str, records: Iterable[Record], keys: AuditKeys, reader_id: UUID
) -> bytes:
    """The document of some records, all of which are signed; in it the reader is named where the records name them.

    Raises:
        LogNotIntact: a checkpoint isn't the platform's, or a record isn't what it signed.
    """
    key = await repository.key_of_person(session, reader_id)
    proven = []
    tokens: dict[int, str] = {}
    for record in records:
        try:
            size, token, proof = await _proof(session, record, keys.public)
        except signing.NotSigned as error:
            raise LogNotIntact(record.seq, f"The checkpoint of record {record.seq}: {error}") from None
        tokens[size] = token
        named = {str(reader_id): naming_key(key, str(record.event_id))} if key and _names(record, reader_id) else {}
        proven.append(ProvenRecord(record.text, record.previous_hash, record.hash, size, proof, named))
    made = document.make(object_id, utc_now(), proven, tokens.values(), keys.public, keys.signing_key)
    text = document.spelled(made)
    # What is given away as proof must be one; what is wrong with the log must not be found out by whom it was given to.
    verdict = document.check(text, keys.public)
    if not verdict.intact:
        raise LogNotIntact(verdict.bad_seq, verdict.fault)
    return text


async def _proof(session: AsyncSession, record: Record, keys: signing.Keys) -> tuple[int, str, list[bytes]]:
    """The first checkpoint that covers a record, and the proof that the record is in it."""
    before, covering = await repository.checkpoints_around(session, record.seq)
    if covering is None:
        raise signing.NotSigned("There is none yet.")
    start = checkpoint.verified(before.token, keys) if before else None
    first = start.size if start else 0
    hashes = await repository.hashes(session, first, covering.size)
    if first + len(hashes) != covering.size:
        raise signing.NotSigned("Records that it covers are missing.")
    proof = inclusion_proof(record.seq - 1, covering.size, checkpoint.subtrees_since(start, hashes))
    return covering.size, covering.token, proof


def _names(record: Record, person_id: UUID) -> bool:
    """Whether the columns of a record name a person in the clear."""
    person = str(person_id)
    return person_id in (record.actor_id, record.owner_id) or person in (record.object_id, *record.related.values())
