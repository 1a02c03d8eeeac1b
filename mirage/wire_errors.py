"""From a failed RPC to an exception."""

from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from mirage import errors

STATUS_KEY = "grpc-status-details-bin"

_CLASSES: dict[grpc.StatusCode, type[errors.MirageError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: errors.NotSignedIn,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.NotPossible,
    grpc.StatusCode.ABORTED: errors.NotPossible,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.TimedOut,
    grpc.StatusCode.INTERNAL: errors.ServerFault,
    grpc.StatusCode.UNKNOWN: errors.ServerFault,
    grpc.StatusCode.DATA_LOSS: errors.DamagedTransfer,
    grpc.StatusCode.UNIMPLEMENTED: errors.NotSupported,
}

# What the gRPC library says where no connection came about, in the order of how telling it is.
_UNREACHABLE = {
    "connection refused": "Nothing answers at {url}.",
    "dns resolution failed": "The host of {url} is not known.",
    "domain name not found": "The host of {url} is not known.",
    "ssl": "{url} can't be trusted, or doesn't speak TLS.",
    "certificate": "{url} can't be trusted: its certificate doesn't hold.",
    "http1": "What answers at {url} is not a Mirage platform.",
    "failed to connect": "{url} can't be reached.",
    "timed out": "{url} can't be reached.",
    "unreachable": "{url} can't be reached.",
}
_TRUST = (
    "Where its certificate is of an authority of your own, name that one's file: Client(url, ca_file=…), "
    "`mirage --ca-file FILE`, or the environment variable MIRAGE_CA_FILE."
)
# What it says where something answered that isn't a gRPC server.
_FOREIGN = "received http2 header with status"
# What it says where a proxy, or a server that is going away, cut the stream off.
_CUT_OFF = "received rst_stream"


def from_rpc(error: grpc.RpcError, url: str) -> errors.MirageError:
    """Returns the exception for a failed RPC to the platform at `url`."""
    status = _status_of(error)
    if status is None:
        unreachable = _unreachable(error, url)
        if unreachable is not None:
            return unreachable
    kind = _CLASSES.get(error.code(), errors.MirageError)
    return _with_details(
        kind,
        message=(status.message if status else error.details()) or f"The request failed ({error.code().name}).",
        code=error.code().name,
        status=status or status_pb2.Status(),
        request_id=_metadata_value(error, "x-request-id") or "",
        trace_id=_metadata_value(error, "x-trace-id") or "",
    )


def reason_of(status: status_pb2.Status) -> str:
    """Returns the platform's name of the fault, or an empty text."""
    info = error_details_pb2.ErrorInfo()
    return next((info.reason for detail in status.details if detail.Unpack(info)), "")


def _with_details(
    kind: type[errors.MirageError],
    *,
    message: str,
    code: str,
    status: status_pb2.Status,
    request_id: str,
    trace_id: str,
) -> errors.MirageError:
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after_s: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
        if detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    metadata = dict(info.metadata)
    told_id = metadata.pop("request_id", "")
    violations = [errors.Violation(each.field, each.description) for each in bad_request.field_violations]
    return kind(
        "The request is not valid." if violations else message,  # the message repeats what the violations say
        code=code,
        reason=info.reason,
        violations=violations,
        trace_id=metadata.pop("trace_id", "") or trace_id,
        metadata=metadata,
        hint="" if retry_after_s is None or "Try again in" in message else f"Try again in {retry_after_s:.0f} seconds.",
        retry_after_s=retry_after_s,
        request_id=request_id or told_id,
    )


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    raw = _metadata_value(error, STATUS_KEY)
    if not raw:
        return None
    try:
        return status_pb2.Status.FromString(raw)
    except DecodeError:
        return None


def _metadata_value(error: Any, key: str) -> Any:
    for metadata in (error.trailing_metadata(), error.initial_metadata()):
        for name, value in metadata or ():
            if name == key:
                return value
    return None


def _unreachable(error: grpc.RpcError, url: str) -> errors.Unavailable | None:
    details = (error.details() or "").lower()
    if details.startswith(_FOREIGN):
        return errors.ConnectionFailed(f"What answers at {url} is not a Mirage platform, or a part of it is missing.")
    if _CUT_OFF in details:
        return errors.ConnectionLost(f"The connection to {url} broke.")
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return None
    if url.startswith("http://") and "failed to connect" in details and details.endswith("socket closed"):
        return errors.ConnectionFailed(
            f"What answers at {url} closes the connection.", hint="If it speaks TLS, its address begins with https://."
        )
    for sign, message in _UNREACHABLE.items():
        if sign in details:
            hint = _TRUST if sign in ("ssl", "certificate") else ""
            return errors.ConnectionFailed(message.format(url=url), hint=hint)
    if "upstream" in details:  # the gateway's own words
        return errors.Unavailable(f"A part of the platform at {url} is not ready.")
    return errors.ConnectionLost(f"The connection to {url} broke.")
