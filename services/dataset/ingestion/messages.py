"""What the child process says, a line of JSON each."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Said(StrEnum):
    """What a message is about; all but PROGRESS end the task."""

    PROGRESS = "progress"  # stage, share, rows
    OUTCOME = "outcome"
    FAULT = "fault"  # reason, message
    MISFIT = "misfit"  # what is wrong by column
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    CRASH = "crash"  # error's name, places


class Message(BaseModel):
    """One line. `peak_bytes` is the most memory the process has had."""

    model_config = ConfigDict(frozen=True)

    said: Said
    content: Any
    peak_bytes: int
