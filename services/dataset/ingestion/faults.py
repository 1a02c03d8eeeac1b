"""What can be wrong with a file, told so that its owner can put it right."""

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Reason(StrEnum):
    """Why a file can't be read in; programs tell faults by it."""

    UNREADABLE = "DATASET_UNREADABLE"
    EMPTY = "DATASET_EMPTY"
    UNSUPPORTED = "UNSUPPORTED_FILE_TYPE"
    TOO_MANY_COLUMNS = "TOO_MANY_COLUMNS"
    UNPACKS_TOO_LARGE = "UNPACKS_TOO_LARGE"
    NEEDS_TOO_MUCH_MEMORY = "NEEDS_TOO_MUCH_MEMORY"
    TAKES_TOO_LONG = "INGESTION_TAKES_TOO_LONG"


class Fault(Exception):
    """The file can't be read in. The message says where it is wrong and what would be right; it may quote the file."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class TypesDontFit(Exception):
    """Types set by hand that don't hold every value: what is wrong, by column."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(", ".join(faults))
        self.faults = faults


def unreadable(message: str) -> Fault:
    """The file is broken."""
    return Fault(Reason.UNREADABLE, message)


def named(names: Sequence[str], limit: int = 5) -> str:
    """Names in quotes, the first few of them."""
    shown = ", ".join(f"“{name}”" for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
