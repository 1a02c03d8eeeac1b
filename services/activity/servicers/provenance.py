"""The RPCs of ProvenanceService and AuditService."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeAlias
from uuid import UUID

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import provenance_pb2, provenance_pb2_grpc
from mirage.audit import signing
from mirage.audit.people import NotOpened, unseal
from servicekit.access import Role
from servicekit.downloads import send_file
from servicekit.identity import Caller, caller
from servicekit.limits import check
from servicekit.object_store import content_disposition
from services.activity import audit_repository as repository
from services.activity import evidence, provenance
from services.activity import provenance_convert as convert
from services.activity.audit_keys import AuditKeys
from services.activity.checkpoints import Checkpoints, LogDamaged
from services.activity.errors import LogNotIntact
from services.activity.log_audit import LogAudit
from services.activity.models import Record

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_JSON = "application/json"
_MAX_AGE_S = 60  # for which a key set may be kept
_PIECE_BYTES = 256 * 1024


class ProvenanceServicer(provenance_pb2_grpc.ProvenanceServiceServicer):
    """Where a user's tables came from."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        keys: AuditKeys,
        checkpoints: Checkpoints,
        audit: LogAudit,
    ) -> None:
        self._sessions = sessions
        self._keys = keys
        self._checkpoints = checkpoints
        self._audit = audit

    async def GetProvenance(
        self, request: provenance_pb2.GetProvenanceRequest, context: Context
    ) -> provenance_pb2.Provenance:
        """Returns the records behind an object."""
        check(request)
        reader = caller()
        async with self._sessions() as session:
            chain = await provenance.chain_of(session, request.object_id, _whose(reader))
            newest = await repository.newest_checkpoint(session)
            key = await repository.key_of_person(session, reader.user_id)
        return provenance_pb2.Provenance(
            object_id=request.object_id,
            complete=chain.complete,
            records=[
                convert.record_to_proto(
                    record,
                    signed_through=newest.size if newest else 0,
                    shows=_whose(reader),
                    personal=_opened(record, reader.user_id, key),
                )
                for record in chain.records
            ],
        )

    async def VerifyProvenance(
        self, request: provenance_pb2.VerifyProvenanceRequest, context: Context
    ) -> provenance_pb2.ProvenanceVerdict:
        """Checks the records behind an object, and the log."""
        check(request)
        async with self._sessions() as session:
            chain = await provenance.chain_of(session, request.object_id, _whose(caller()))
        verdict = await self._audit.verdict()
        fault = verdict.fault
        return provenance_pb2.ProvenanceVerdict(
            object_id=request.object_id,
            intact=verdict.intact,
            records=len(chain.records),
            concerns_object=fault is not None
            and any(fault.first_seq <= record.seq <= fault.last_seq for record in chain.records),
            log=convert.verdict_to_proto(verdict),
        )

    async def ExportProvenance(
        self, request: provenance_pb2.ExportProvenanceRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Exports the records behind an object as a signed document."""
        check(request)
        reader = caller()
        try:
            await self._checkpoints.sign_all()
        except LogDamaged as error:
            raise LogNotIntact(0, str(error)) from None
        async with self._sessions() as session:
            chain = await provenance.chain_of(session, request.object_id, _whose(reader))
            text = await evidence.document_of(session, request.object_id, chain.records, self._keys, reader.user_id)
        filename = f"provenance-{request.object_id}.json"
        headers = {"content-disposition": content_disposition(filename)}
        async for body in send_file(context, headers, _JSON, _pieces(text)):
            yield body


class AuditServicer(provenance_pb2_grpc.AuditServiceServicer):
    """The log as evidence."""

    def __init__(self, keys: AuditKeys, audit: LogAudit) -> None:
        self._keys = keys
        self._audit = audit

    async def VerifyLog(self, request: provenance_pb2.VerifyLogRequest, context: Context) -> provenance_pb2.LogVerdict:
        """Checks the whole log."""
        return convert.verdict_to_proto(await self._audit.verdict())

    async def GetAuditKeySet(self, request: provenance_pb2.GetAuditKeySetRequest, context: Context) -> HttpBody:
        """Returns the JWK set, raw: no envelope around it."""
        await context.send_initial_metadata((("x-raw-body", "1"), ("cache-control", f"public, max-age={_MAX_AGE_S}")))
        return HttpBody(content_type="application/jwk-set+json", data=signing.key_set_text(self._keys.public))


def _whose(reader: Caller) -> UUID | None:
    """Whose objects a reader may ask for; None: everybody's."""
    return None if reader.role is Role.ADMINISTRATOR else reader.user_id


def _opened(record: Record, reader_id: UUID, key: bytes | None) -> dict[str, Any]:
    """What names the reader in a record of theirs."""
    if record.owner_id == reader_id and key is not None and record.sealed:
        with suppress(NotOpened):  # it was tampered with, which verifying tells
            return unseal(record.sealed, key, str(record.event_id))
    return {}


async def _pieces(text: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(text), _PIECE_BYTES):
        yield text[start : start + _PIECE_BYTES]
