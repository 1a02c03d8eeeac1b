"""Where a table came from: what `client.provenance` returns."""

from mirage.activity.v1 import provenance_pb2 as pb
from mirage.aio.provenance import AsyncProvenance
from mirage.plain.calls import Plain, blocking
from mirage.records.provenance import ProvenanceFields


class Provenance(Plain[AsyncProvenance], ProvenanceFields):
    """The records behind an object."""

    @property
    def proto(self) -> pb.Provenance:
        """The message itself."""
        return self._core.proto

    verify = blocking(AsyncProvenance.verify)
    export = blocking(AsyncProvenance.export)
