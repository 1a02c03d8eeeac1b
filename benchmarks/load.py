"""Load on one HTTP GET over kept connections: `python -m benchmarks.load URL`, the header on stdin, figures on stdout.

A process of its own, so that it shares no interpreter with what it measures. It speaks just as much HTTP/1.1 as the
gateway answers: a general client costs more for a request than the gateway does, and would be what is measured.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop

_END_OF_HEADERS = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Figures:
    """What a load came to."""

    requests_per_second: float
    latencies_ms: dict[str, float]  # p50 and p99; of a paced load from the moment at which a request was due
    statuses: dict[str, int]  # how often each HTTP status came


class Connection(asyncio.Protocol):
    """One kept connection: a request at a time."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self._answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """For asyncio."""
        self._received += data
        head, separator, body = self._received.partition(_END_OF_HEADERS)
        if separator and _is_whole(head.lower(), body) and self._answered:
            self._received = b""
            self._answered.set_result(int(head[9:12]))
            self._answered = None

    def connection_lost(self, exception: Exception | None) -> None:
        """For asyncio."""
        if self._answered:
            self._answered.set_exception(exception or ConnectionError("the connection was closed"))
            self._answered = None

    async def get(self) -> int:
        """Sends the request; returns the answer's status."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        return await self._answered

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()


def _is_whole(head: bytes, body: bytes) -> bool:
    """Whether all of an answer is there; `head` in lower case."""
    _, found, rest = head.partition(b"content-length: ")
    if found:
        return len(body) >= int(rest.split(b"\r\n", 1)[0])
    return body.endswith(_LAST_CHUNK)


async def put_load(
    url: str, authorization: str, *, connections: int, seconds: float, rate: float | None = None
) -> Figures:
    """Sends requests for some seconds, as fast as they are answered or `rate` a second in all, evenly."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    request = (
        f"GET {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept: application/json\r\n"
        f"authorization: {authorization}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(request), parts.hostname, parts.port))[1]
        for _ in range(connections)
    ]
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    began = time.perf_counter()

    async def send(index: int, connection: Connection) -> None:
        turn = index
        while True:
            due = time.perf_counter() if rate is None else began + turn / rate
            if due - began >= seconds:
                return
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            statuses[str(await connection.get())] += 1
            latencies.append(time.perf_counter() - due)
            turn += connections

    await asyncio.gather(*(send(index, connection) for index, connection in enumerate(opened)))
    elapsed = time.perf_counter() - began
    for connection in opened:
        connection.close()
    ordered = sorted(latencies)
    at = {name: ordered[int(share * (len(ordered) - 1))] * 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}
    return Figures(len(ordered) / elapsed, at, dict(statuses))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, help="requests a second, evenly; without it as many as are answered")
    given = parser.parse_args()
    load = put_load(
        given.url, sys.stdin.read().strip(), connections=given.connections, seconds=given.seconds, rate=given.rate
    )
    print(json.dumps(asdict(uvloop.run(load))))


if __name__ == "__main__":
    main()
