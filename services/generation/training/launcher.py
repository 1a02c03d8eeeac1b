"""Forks a child for every piece of work: `python -m services.generation.training.launcher CONTROL`.

Importing torch and SDV takes seconds. This process does it once, then waits, single-threaded, for requests on a Unix
socket; a forked child begins its work some ten milliseconds after the request. It knows no secrets: the runner starts
it with an environment of its own, and children that unpickle models inherit that.

A request is a packet `{"work": "train" | "sample" | "evaluate"}` with file descriptors: the spec, the pipe for events,
and for sampling the pipe for rows. When a child ends, this process writes its exit code to the pipe and closes it. When
the socket closes, the runner is gone, and every child is ended.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress

from services.generation.engines import ENGINES
from services.generation.training import child
from services.generation.training.events import Exited

READY = b"ready"
MOST_DESCRIPTORS = 3
PACKET_BYTES = 4096


class Launcher:
    """Forks children and tells how they ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pipes: dict[int, int] = {}  # the events pipe by the child's pid
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_writer.setblocking(False)

    def run(self) -> None:
        """Serves until the control socket closes."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the wake-up needs a handler
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(self._control, selectors.EVENT_READ)
        selector.register(self._wake_reader, selectors.EVENT_READ)
        self._control.send(READY)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if self._wake_reader in ready:
                self._wake_reader.recv(PACKET_BYTES)
                self._reap()
            if self._control in ready:
                packet, descriptors, _, _ = socket.recv_fds(self._control, PACKET_BYTES, MOST_DESCRIPTORS)
                if not packet:
                    break
                self._fork(json.loads(packet)["work"], descriptors)
        for pid in self._pipes:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _fork(self, work: str, descriptors: list[int]) -> None:
        launcher = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._forget()
                code = child.run(work, descriptors, launcher)
            finally:
                os._exit(code)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        self._pipes[pid] = descriptors[1]
        for descriptor in (descriptors[0], *descriptors[2:]):
            os.close(descriptor)

    def _forget(self) -> None:
        """In a child: lets go of what is the launcher's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for pipe in self._pipes.values():
            os.close(pipe)
        for owned in (self._control, self._wake_reader, self._wake_writer):
            owned.close()

    def _reap(self) -> None:
        """Takes leave of every child that has ended."""
        while (ended := _ended()) is not None:
            with suppress(ProcessLookupError):
                os.killpg(ended, signal.SIGKILL)  # what it left behind; its number is its own until it is waited for
            _, status = os.waitpid(ended, 0)
            pipe = self._pipes.pop(ended)
            line = Exited(code=os.waitstatus_to_exitcode(status)).model_dump_json()
            with suppress(BrokenPipeError):
                # A line of its own, even after one that the child couldn't finish.
                os.write(pipe, f"\n{line}\n".encode())
            os.close(pipe)


def _ended() -> int | None:
    """A child that has ended and wasn't waited for."""
    try:
        status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if status is None else status.si_pid


def main() -> None:
    """Imports what children need and serves the control socket, whose descriptor is the only argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for engine in ENGINES.values():
        engine.warm_up()
    gc.collect()
    gc.freeze()  # what the collector doesn't touch stays shared with the children
    Launcher(control).run()


if __name__ == "__main__":
    main()
