"""Why a file could not be read in: what its owner is told, kept with the version."""

import structlog
from grpc import StatusCode

from servicekit.errors import TEMPORARY, ServiceError, StorageFull, is_disk_full
from servicekit.failures import Failure
from services.dataset.errors import IngestionFailed
from services.dataset.ingestion.faults import Fault, TypesDontFit
from services.dataset.models import Version

log = structlog.get_logger(__name__)


PROCESSES_LOST = Failure(
    StatusCode.ABORTED,
    "INGESTION_LOST",
    "Reading this file has ended the process that did it several times; it isn't tried again.",
)
_OUR_FAULT = Failure(StatusCode.INTERNAL, "INTERNAL", "Something went wrong on our side. It has been logged.")


def failure_from(error: Exception) -> Failure:
    """What to tell the owner of a file whose ingestion raised this; what nobody expected is logged."""
    if isinstance(error, Fault):
        return Failure(StatusCode.INVALID_ARGUMENT, error.reason.value, error.message)
    if isinstance(error, TypesDontFit):
        faults = "; ".join(f"{name}: {fault}" for name, fault in error.faults.items())
        return Failure(StatusCode.INVALID_ARGUMENT, "TYPES_DO_NOT_FIT", faults)
    if isinstance(error, ServiceError):
        return Failure(error.code, error.reason, error.message)
    if is_disk_full(error):
        return failure_from(StorageFull(TEMPORARY))
    # Only where it happened: the error's own text may hold cells of the table.
    log.error("ingestion_crashed", error=type(error).__name__, where=_places(error))
    return _OUR_FAULT


def error_of(version: Version) -> IngestionFailed:
    """A failed version's failure as an error to raise."""
    code = StatusCode[version.error_code or StatusCode.INTERNAL.name]
    return IngestionFailed(code, version.error_reason or "", version.error_message or "")


def _places(error: BaseException) -> list[str]:
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places
