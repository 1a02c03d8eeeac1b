"""Times: aware datetimes in UTC inside, protobuf timestamps on the wire."""

from datetime import UTC, datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import InvalidRequest, Violation


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


@overload
def to_timestamp(moment: datetime) -> Timestamp: ...
@overload
def to_timestamp(moment: None) -> None: ...
@overload
def to_timestamp(moment: datetime | None) -> Timestamp | None: ...
def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """The protobuf form of an aware datetime; nothing stays nothing."""
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment.astimezone(UTC))
    return timestamp


def from_timestamp(timestamp: Timestamp, field: str) -> datetime:
    """The aware datetime, in UTC, of a protobuf timestamp that came in a field of a request.

    Raises:
        InvalidRequest: no calendar has this time.
    """
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest([Violation(field, "must be a time of the years 1 to 9999")]) from None
