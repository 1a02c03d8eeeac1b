"""Why a piece of work failed, as a row keeps it and as the contract shows it."""

from typing import NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from sqlalchemy.orm import Mapped

from servicekit.interceptors import DOMAIN


class Failure(NamedTuple):
    """Why something failed."""

    code: StatusCode
    reason: str  # for programs
    message: str  # for people


class FailureColumns:
    """Why something failed: a gRPC code's name, a reason for programs, a text for people; null where it didn't."""

    error_code: Mapped[str | None]
    error_reason: Mapped[str | None]
    error_message: Mapped[str | None]

    def set_failure(self, failure: Failure) -> None:
        """Keeps why it failed."""
        self.error_code, self.error_reason, self.error_message = failure.code.name, failure.reason, failure.message


def failure_to_proto(row: FailureColumns) -> status_pb2.Status | None:
    """Why it failed, for a message's `error`; None where it didn't."""
    if row.error_code is None:
        return None
    detail = AnyMessage()
    detail.Pack(error_details_pb2.ErrorInfo(reason=row.error_reason or "", domain=DOMAIN))
    code: int = StatusCode[row.error_code].value[0]
    return status_pb2.Status(code=code, message=row.error_message or "", details=[detail])
