"""Becomes another program, bound to the life of whoever started it: `python -I -S launch.py LAUNCH_FILE`.

The launch file (JSON, private to its owner) holds the command and the environment, so that no secret ever stands in a
process's arguments, nor in the supervisor's own configuration. The parent's death is announced by the kernel
(`PR_SET_PDEATHSIG`), which no SIGKILL can prevent: nothing is left behind. Standard library only, for a quick start.
"""

import ctypes
import json
import os
import pwd
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def bind_to_parent(death_signal: signal.Signals, parent: int) -> None:
    """Asks the kernel for `death_signal` when the parent dies; ends at once if it is dead already.

    Where the kernel isn't Linux this does nothing.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it died before we had asked
        raise SystemExit(1)


def become_account(name: str) -> None:
    """Gives up root for the operating system account of this name."""
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def main() -> None:
    """Reads the launch file and becomes its command."""
    parent = os.getppid()
    launch = json.loads(Path(sys.argv[1]).read_text())
    os.chdir(launch["directory"])
    if launch["account"]:
        become_account(launch["account"])
    # After the change of account, which would undo it.
    bind_to_parent(signal.Signals[launch["death_signal"]], parent)
    os.umask(0o077)
    os.execve(launch["command"][0], launch["command"], launch["environment"])  # noqa: S606 - a list, without a shell


if __name__ == "__main__":
    main()
