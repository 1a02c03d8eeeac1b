"""The dataset service's errors: gRPC code, reason, metadata."""

import json
from collections.abc import Sequence

from grpc import StatusCode

from servicekit.errors import ServiceError


class DatasetNotFound(ServiceError):
    """There is no such dataset, or it is somebody else's and private."""

    code, reason = StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"

    def __init__(self, dataset_id: object) -> None:
        super().__init__(f"Dataset {dataset_id} does not exist.", dataset_id=str(dataset_id))


class VersionNotFound(ServiceError):
    """The dataset has no such version."""

    code, reason = StatusCode.NOT_FOUND, "DATASET_VERSION_NOT_FOUND"

    def __init__(self, dataset_id: object, version: int) -> None:
        super().__init__(
            f"Dataset {dataset_id} has no version {version}.", dataset_id=str(dataset_id), version=str(version)
        )


class NotTheOwner(ServiceError):
    """The dataset is public, so it may be read, but only its owner may change it."""

    code, reason = StatusCode.PERMISSION_DENIED, "NOT_THE_OWNER"

    def __init__(self, dataset_id: object) -> None:
        super().__init__(f"Dataset {dataset_id} can be changed by its owner only.", dataset_id=str(dataset_id))


class DatasetNotReady(ServiceError):
    """The version has no table: it is still being read, or can't be read."""

    code, reason = StatusCode.FAILED_PRECONDITION, "DATASET_NOT_READY"

    def __init__(self, dataset_id: object, state: str) -> None:
        why = "is still being read in; watch it until it is ready" if state == "processing" else "could not be read"
        super().__init__(f"Dataset {dataset_id} {why}.", dataset_id=str(dataset_id), state=state)


class DatasetInUse(ServiceError):
    """Jobs, models or studies hang on the dataset."""

    code, reason = StatusCode.FAILED_PRECONDITION, "DATASET_IN_USE"

    def __init__(self, dataset_id: object, jobs: int, models: int, studies: int) -> None:
        super().__init__(
            f"{jobs} jobs, {models} models and {studies} studies hang on dataset {dataset_id}. "
            "With cascade=true they are deleted too.",
            dataset_id=str(dataset_id),
            jobs=str(jobs),
            models=str(models),
            studies=str(studies),
        )


class PersonalDataFound(ServiceError):
    """The dataset holds personal data, and nobody has confirmed that everybody may read it."""

    code, reason = StatusCode.FAILED_PRECONDITION, "PERSONAL_DATA_FOUND"

    def __init__(self, dataset_id: object, described: str, columns: Sequence[str], unread: Sequence[int]) -> None:
        found = f"it holds personal data: {described}" if columns else ""
        versions = ", ".join(map(str, unread))
        older = f"its versions {versions} were never searched for personal data" if unread else ""
        why = ", and ".join(filter(None, (found, older)))
        super().__init__(
            f"Dataset {dataset_id} can't simply be public, for {why}. Confirm that everybody may read it with "
            "confirm_personal_data=true, or correct what was found where it is wrong.",
            dataset_id=str(dataset_id),
            columns=json.dumps(list(columns), ensure_ascii=False),
        )


class DatasetChanged(ServiceError):
    """Somebody changed the dataset while this change was being made."""

    code, reason = StatusCode.ABORTED, "DATASET_CHANGED"

    def __init__(self, dataset_id: object) -> None:
        super().__init__(
            f"Dataset {dataset_id} was changed by another call meanwhile. Look at it and try again.",
            dataset_id=str(dataset_id),
        )


class StillReading(ServiceError):
    """The upload is kept and will be read in, but this process stops before."""

    code, reason = StatusCode.UNAVAILABLE, "DATASET_STILL_READING"

    def __init__(self, dataset_id: object) -> None:
        super().__init__(
            f"The upload is kept as dataset {dataset_id} and will be read in, but the service is restarted while you "
            "wait. Watch the dataset, or send the same upload again under the same idempotency key.",
            dataset_id=str(dataset_id),
        )


class IngestionFailed(ServiceError):
    """The file was uploaded whole but could not be read in; code, reason and message say why."""

    def __init__(self, code: StatusCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class FileTooLarge(ServiceError):
    """The upload is larger than is allowed."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "FILE_TOO_LARGE"

    def __init__(self, limit_bytes: int) -> None:
        megabytes = limit_bytes // (1024 * 1024)
        super().__init__(f"The file is larger than the {megabytes} MB allowed.", limit_bytes=str(limit_bytes))


class FileEmpty(ServiceError):
    """The upload has not one byte."""

    code, reason = StatusCode.INVALID_ARGUMENT, "DATASET_EMPTY"

    def __init__(self) -> None:
        super().__init__("The file is empty: it should have a header and at least one row.")


class UploadIncomplete(ServiceError):
    """The upload was cut off."""

    code, reason = StatusCode.INVALID_ARGUMENT, "UPLOAD_INCOMPLETE"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The upload was cut off: {fault}. Nothing was kept; send it again.")


class UploadTooSlow(ServiceError):
    """The upload took longer than is allowed."""

    code, reason = StatusCode.DEADLINE_EXCEEDED, "UPLOAD_TOO_SLOW"

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The upload took longer than the {limit_s / 60:.0f} minutes allowed. Nothing was kept.")


class ChecksumMismatch(ServiceError):
    """What arrived isn't what was announced."""

    code, reason = StatusCode.DATA_LOSS, "CHECKSUM_MISMATCH"

    def __init__(self, announced: str, found: str) -> None:
        super().__init__(
            "The SHA-256 of what arrived differs from the one announced. Nothing was kept; send it again.",
            announced=announced,
            found=found,
        )
