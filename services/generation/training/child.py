"""What happens in a child process from the fork to its end."""

import ctypes
import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from servicekit.errors import TEMPORARY, StorageFull, is_disk_full
from services.generation.engines.protocol import Cancelled, Failure
from services.generation.training.events import Broke, Event, Failed, Started, trace_of
from services.generation.training.judging import judge
from services.generation.training.spec import EvaluationSpec, SamplingSpec, TrainingSpec
from services.generation.training.work import sample, train

PR_SET_PDEATHSIG = 1
# The kernel, short of memory, ends a child before the services around it.
OOM_SCORE = "500"


def run(work: str, descriptors: list[int], launcher: int) -> int:
    """Does a piece of work and returns the exit code.

    `descriptors` are the spec's file, the pipe for events and, for sampling, the pipe for rows.
    """
    _become_child(launcher)
    with os.fdopen(descriptors[0], "rb") as file:
        spec = json.load(file)
    events = descriptors[1]

    def tell(event: Event) -> None:
        line = event.model_dump_json().encode() + b"\n"
        while line:
            line = line[os.write(events, line) :]

    tell(Started(pid=os.getpid()))
    called_off = _called_off()
    try:
        if work == "train":
            train(TrainingSpec.model_validate(spec), tell, called_off)
        elif work == "evaluate":
            judge(EvaluationSpec.model_validate(spec), tell, called_off)
        else:
            with os.fdopen(descriptors[2], "wb") as output:
                sample(SamplingSpec.model_validate(spec), tell, called_off, output)
    except Failure as failure:
        tell(Failed(reason=failure.reason, message=failure.message, metadata=failure.metadata))
    except (Cancelled, BrokenPipeError):
        return 1  # nobody waits for an answer any more
    except MemoryError:
        tell(Failed(reason="TRAINING_OUT_OF_MEMORY", message="The machine has no more memory to give.", metadata={}))
    except Exception as error:
        if is_disk_full(error):
            full = StorageFull(TEMPORARY)
            tell(Failed(reason=full.reason, message=full.message, metadata={}))
            return 1
        tell(Broke(error=type(error).__qualname__, trace=trace_of(error)))
        return 1
    return 0


def _become_child(launcher: int) -> None:
    """Leads a process group of its own, dies with the launcher, and leaves the terminal alone."""
    with suppress(PermissionError):  # the launcher may have done it first
        os.setpgid(0, 0)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != launcher:
        os._exit(1)  # it was gone before it could be asked for
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    # Where a crash in a library happened goes to the log; what libraries print may quote the table.
    faulthandler.enable(os.fdopen(os.dup(2), "w"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    sys.stdout.flush()
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def _called_off() -> Callable[[], bool]:
    """Tells whether SIGTERM has come; from now on it no longer ends the process by itself."""
    come = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal come
        come = True

    signal.signal(signal.SIGTERM, note)
    return lambda: come
