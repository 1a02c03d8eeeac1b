"""The activity service's errors: gRPC code, reason, metadata."""

from grpc import StatusCode

from servicekit.errors import ServiceError


class ProvenanceNotFound(ServiceError):
    """The log knows of no such object, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "PROVENANCE_NOT_FOUND"

    def __init__(self, object_id: str) -> None:
        shown = object_id[:100]
        super().__init__(f"Nothing of yours with the id {shown} is in the log.", object_id=shown)


class LogNotIntact(ServiceError):
    """What was asked for can't be proven: the log isn't as it was written."""

    code, reason = StatusCode.DATA_LOSS, "LOG_NOT_INTACT"

    def __init__(self, seq: int, description: str) -> None:
        super().__init__(f"The log is not as it was written, and proves nothing of this. {description}", seq=str(seq))
