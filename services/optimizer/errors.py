"""The optimizer service's errors: gRPC code, reason, metadata."""

from grpc import StatusCode

from servicekit.errors import ServiceError


class StudyNotFound(ServiceError):
    """There is no such study, or it is somebody else's."""

    code, reason = StatusCode.NOT_FOUND, "STUDY_NOT_FOUND"

    def __init__(self, study_id: object) -> None:
        super().__init__(f"Study {study_id} does not exist.", study_id=str(study_id))


class TooManyStudies(ServiceError):
    """The user has as many studies that wait or run as one user may have."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STUDIES"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} of your studies wait or run, and one user may have no more. Stop one, or wait for one to end.",
            limit=str(limit),
        )
