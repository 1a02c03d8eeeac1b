"""Requests that no HTTP library would send."""

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class RawAnswer:
    """An HTTP/1.1 answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(host: str, port: int, request: bytes) -> RawAnswer:
    """Sends the bytes and reads until the gateway closes; the request should ask it to (`Connection: close`)."""
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return RawAnswer(int(first.split()[1]), headers, body)
