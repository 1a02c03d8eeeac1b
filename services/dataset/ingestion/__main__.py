"""The child process: takes tasks as lines of JSON from standard input, tells what becomes of them on standard output.

It ends when its input ends, so it never outlives the process that started it, however that one ends.
"""

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

import duckdb

from servicekit.errors import is_disk_full
from services.dataset.ingestion.faults import Fault, TypesDontFit
from services.dataset.ingestion.messages import Message, Said
from services.dataset.ingestion.pipeline import ingest
from services.dataset.ingestion.tasks import Task

_NICENESS = 5  # whoever serves requests goes before
_MOST_PLACES = 20


def main() -> None:
    """Works until the input ends."""
    os.nice(_NICENESS)
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, tasks), daemon=True).start()
    voice = _own_voice()
    while True:
        _work(Task.model_validate_json(tasks.get()), voice)


def _listen(source: TextIO, tasks: "queue.SimpleQueue[str]") -> None:
    for line in source:
        tasks.put(line)
    os._exit(0)  # whatever is being done, nobody waits for it any more


def _own_voice() -> TextIO:
    """Standard output for messages alone; what libraries print, which may be cells of a table, goes nowhere."""
    sys.stdout.flush()
    voice = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return voice


def _work(task: Task, voice: TextIO) -> None:
    def say(said: Said, content: Any) -> None:
        voice.write(Message(said=said, content=content, peak_bytes=_peak_bytes()).model_dump_json() + "\n")

    try:
        outcome = ingest(task, lambda stage, progress, rows: say(Said.PROGRESS, [stage, progress, rows]))
    except Fault as fault:
        say(Said.FAULT, [fault.reason, fault.message])
    except TypesDontFit as misfit:
        say(Said.MISFIT, dict(misfit.faults))
    except (MemoryError, duckdb.OutOfMemoryException):
        say(Said.OUT_OF_MEMORY, None)
    except Exception as error:  # whoever waits must hear of it
        if is_disk_full(error):
            say(Said.DISK_FULL, None)
        else:
            say(Said.CRASH, {"error": type(error).__name__, "places": _places(error)})
    else:
        say(Said.OUTCOME, json.loads(outcome.model_dump_json()))


def _places(error: BaseException) -> list[str]:
    """Where it happened. Not the error's text, which may hold cells of the table."""
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-_MOST_PLACES:]


def _peak_bytes() -> int:
    # Not getrusage: its ru_maxrss begins with what the process had that started this one, and survives exec.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status tells no VmHWM")


if __name__ == "__main__":
    main()
