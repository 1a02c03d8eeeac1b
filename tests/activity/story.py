"""The story of one synthetic table, as the services tell it, and who may ask for it."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from mirage.activity.v1 import event_pb2, provenance_pb2, provenance_pb2_grpc
from servicekit.ids import new_id
from tests.activity.platform import Platform, event


@dataclass
class Story:
    """A table's ids, and its events."""

    owner_id: UUID = field(default_factory=uuid4)
    dataset_id: str = field(default_factory=lambda: str(new_id()))
    job_id: str = field(default_factory=lambda: str(new_id()))
    model_id: str = field(default_factory=lambda: str(new_id()))
    study_id: str = field(default_factory=lambda: str(new_id()))

    @property
    def events(self) -> list[event_pb2.Event]:
        """Everything from the upload to the last download."""
        version = {"dataset_version_id": f"{self.dataset_id}:1"}
        dataset, job = {"dataset_id": self.dataset_id, **version}, {"job_id": self.job_id}
        return [
            self._event(
                "dataset.uploaded",
                "dataset",
                self.dataset_id,
                version,
                {"source_sha256": "a" * 64, "rows": 1000, "header": True},
                {"file_name": "ada-lovelace.csv"},
            ),
            self._event("study.created", "study", self.study_id, {**dataset, **job}, {"method": "bayesian"}),
            self._event(
                "job.created",
                "job",
                self.job_id,
                {**dataset, "study_id": self.study_id},
                {"seed": 42, "settings": {"epochs": 10, "log_frequency": True, "generator_lr": 2e-4}},
            ),
            self._event(
                "job.succeeded",
                "job",
                self.job_id,
                {**dataset, "model_id": self.model_id},
                {"model_sha256": "b" * 64, "table_sha256": "c" * 64, "versions": {"torch": "2.13.0"}},
            ),
            self._event("report.viewed", "report", self.job_id, job, {}),
            self._event("table.downloaded", "table", self.job_id, job, {"format": "csv"}),
        ]

    def _event(
        self,
        kind: str,
        object_type: str,
        object_id: str,
        related: dict[str, str],
        attributes: dict[str, object],
        personal: dict[str, object] | None = None,
    ) -> event_pb2.Event:
        owner = str(self.owner_id)
        return event(
            kind,
            actor_id=owner,
            owner_id=owner,
            object_type=object_type,
            object_id=object_id,
            related=related,
            attributes=attributes,
            personal=personal or {},
        )


KINDS = [
    "dataset.uploaded",
    "study.created",
    "job.created",
    "job.succeeded",
    "report.viewed",
    "table.downloaded",
]
"""What a story's chain holds, in its order."""


class Reader:
    """Somebody who asks where a table came from."""

    def __init__(self, platform: Platform, user_id: UUID | None = None, *, administrator: bool = False) -> None:
        make = platform.tokens.administrator if administrator else platform.tokens.user
        self._bearer = (("authorization", f"Bearer {make(user_id)}"),)
        self._provenance = provenance_pb2_grpc.ProvenanceServiceStub(platform.channel)
        self._audit = provenance_pb2_grpc.AuditServiceStub(platform.channel)

    async def chain(self, object_id: str) -> provenance_pb2.Provenance:
        """The records behind an object."""
        request = provenance_pb2.GetProvenanceRequest(object_id=object_id)
        answer: provenance_pb2.Provenance = await self._provenance.GetProvenance(request, metadata=self._bearer)
        return answer

    async def verify(self, object_id: str) -> provenance_pb2.ProvenanceVerdict:
        """Whether they are intact."""
        request = provenance_pb2.VerifyProvenanceRequest(object_id=object_id)
        answer: provenance_pb2.ProvenanceVerdict = await self._provenance.VerifyProvenance(
            request, metadata=self._bearer
        )
        return answer

    async def export(self, object_id: str) -> bytes:
        """The signed document."""
        request = provenance_pb2.ExportProvenanceRequest(object_id=object_id)
        pieces = [body.data async for body in self._provenance.ExportProvenance(request, metadata=self._bearer)]
        return b"".join(pieces)

    async def verify_log(self) -> provenance_pb2.LogVerdict:
        """Whether the whole log is intact."""
        answer: provenance_pb2.LogVerdict = await self._audit.VerifyLog(
            provenance_pb2.VerifyLogRequest(), metadata=self._bearer
        )
        return answer


async def key_set(platform: Platform) -> bytes:
    """The public keys, as anybody gets them."""
    body = await provenance_pb2_grpc.AuditServiceStub(platform.channel).GetAuditKeySet(
        provenance_pb2.GetAuditKeySetRequest()
    )
    return bytes(body.data)
