"""Where a table came from: what `client.provenance` returns."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from mirage import tables
from mirage.activity.v1 import provenance_pb2 as pb
from mirage.connection import Connection
from mirage.records.provenance import ProvenanceFields, ProvenanceVerdict


class AsyncProvenance(ProvenanceFields):
    """The records behind an object."""

    def __init__(self, message: pb.Provenance, connection: Connection) -> None:
        super().__init__(message)
        self._connection = connection

    async def verify(self) -> ProvenanceVerdict:
        """Has the platform check these records, and its whole log; takes half a minute for a million records."""
        request = pb.VerifyProvenanceRequest(object_id=self.object_id)
        # The gateway sets the limit.
        answer = await self._connection.call(self._connection.provenance.VerifyProvenance, request, timeout_s=None)
        return ProvenanceVerdict(answer)

    async def export(self, path: str | Path = ".") -> Path:
        """Writes the records with what proves them as one signed JSON file, and returns its path.

        `mirage audit verify FILE`, or `mirage.audit.document.check`, checks it without the platform.

        Args:
            path: a file, or a directory in which it gets a name.
        """
        file = tables.target(path, "json", "json", f"provenance-{self.object_id}")[0]
        return await tables.save(self._document(), file)

    async def _document(self) -> AsyncIterator[bytes]:
        request = pb.ExportProvenanceRequest(object_id=self.object_id)
        async with aclosing(self._connection.receive(self._connection.provenance.ExportProvenance, request)) as bodies:
            async for body in bodies:
                yield body.data
