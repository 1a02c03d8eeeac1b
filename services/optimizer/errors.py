"""The optimizer service's errors: gRPC code, reason, metadata."""

from grpc import StatusCode

from servicekit.errors import ServiceError


class StudyNotFound(ServiceError):
    """There is no such study, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "STUDY_NOT_FOUND"

    def __init__(self, study_id: object) -> None:
        super().__init__(f"Study {study_id} does not exist.", study_id=str(study_id))
