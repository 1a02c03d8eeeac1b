"""Whether a platform can serve, asked by whom nobody knows; and what `mirage health` makes of the answer."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.local.ports import free_port
from mirage import endpoint
from mirage.cli import exit_codes
from mirage.cli.app import run
from mirage.errors import Unavailable
from mirage.probing import can_serve


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything so; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_serves(capsys: pytest.CaptureFixture[str]) -> None:
    """A platform that can serve is told so, with exit code 0."""
    with answering(200, b'{"success":true,"data":{"status":"healthy"}}') as url:
        assert can_serve(endpoint.parse(url))
        assert run(["--url", url, "health"]) == exit_codes.OK
        assert "can serve" in capsys.readouterr().out
        assert run(["--url", url, "health", "--json"]) == exit_codes.OK
        assert '"healthy"' in capsys.readouterr().out


def test_cannot_serve(capsys: pytest.CaptureFixture[str]) -> None:
    """A platform that says that it can't serve is told so, with an exit code of its own."""
    with answering(503, b'{"success":false}') as url:
        assert not can_serve(endpoint.parse(url))
        assert run(["--url", url, "health"]) == exit_codes.UNAVAILABLE
        assert "can't serve" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "body"), [(404, b"not found"), (200, b"<html>"), (500, b"")])
def test_something_else_answers(status: int, body: bytes) -> None:
    """What isn't a platform is told as that, and not as one that is well or unwell."""
    with answering(status, body) as url, pytest.raises(Unavailable):
        can_serve(endpoint.parse(url))


def test_nobody_answers() -> None:
    """Where nobody listens, that is said."""
    with pytest.raises(Unavailable, match="can't be reached"):
        can_serve(endpoint.parse(f"http://127.0.0.1:{free_port()}"))
