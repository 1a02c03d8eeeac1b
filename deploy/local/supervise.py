"""Runs supervisord for as long as its starter lives: `python -m deploy.local.supervise CONFIGURATION`.

The starter holds the other end of our standard input. When that closes, because the starter ended in whatever way,
SIGKILL included, everything is stopped in order, as by SIGTERM.
"""

import os
import signal
import sys
import threading

from supervisor import supervisord

from deploy.local import whole_lines


def stop_with_starter() -> None:
    """Waits until standard input is closed, then asks our own process to stop."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Watches the starter, and supervises."""
    os.umask(0o077)  # the parts' logs are its files
    whole_lines.install()
    threading.Thread(target=stop_with_starter, daemon=True).start()
    supervisord.main(["--nodaemon", "--silent", "--configuration", sys.argv[1]])


if __name__ == "__main__":
    main()
