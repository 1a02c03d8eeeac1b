"""Free TCP ports on loopback."""

import socket
from pathlib import Path

from deploy.local.program import write_private


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to nobody else for about a minute.

    A connection that we close from the listening side leaves the port in TIME_WAIT: no longer a candidate for anyone
    who asks for any port, yet free to be listened on by name, since servers set SO_REUSEADDR.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.close()
        client.recv(1)  # the listening side closed first, so TIME_WAIT is on its side
        port: int = listener.getsockname()[1]
    return port


def is_taken(host: str, port: int) -> bool:
    """Whether another program listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def kept_port(path: Path) -> int:
    """The port that this file remembers, so that addresses given away outlive a restart; another while it is taken."""
    try:
        port = int(path.read_text())
    except (FileNotFoundError, ValueError):
        port = free_port()
        write_private(path, str(port))
        return port
    return free_port() if is_taken("127.0.0.1", port) else port
