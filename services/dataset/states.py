"""Where a version of a dataset stands."""

from enum import StrEnum


class State(StrEnum):
    """Where a version stands; READY and FAILED are final."""

    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class Stage(StrEnum):
    """What is being done."""

    RECEIVED = "received"
    READING = "reading"
    PROFILING = "profiling"
    STORING = "storing"
    READY = "ready"
    FAILED = "failed"


class Visibility(StrEnum):
    """Who may read a dataset."""

    PRIVATE = "private"
    PUBLIC = "public"
