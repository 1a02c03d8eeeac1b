"""What telling metrics costs."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil

from benchmarks.load import Figures
from benchmarks.measuring import Bench, Stopwatch, bench
from servicekit.metrics.rpcs import MetricsInterceptor, RpcMetrics

RUNS = 5
CONNECTIONS = 16
SECONDS = 5.0
CALLS = 100_000
SCRAPES = 20
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"


def run() -> Iterator[str]:
    """GET /generation/status on two platforms that differ in METRICS_ENABLED alone, in turns; measuring by itself."""
    with bench(METRICS_ENABLED="true") as on, bench(METRICS_ENABLED="false") as off:
        paths = {made: _path_of_a_job(made) for made in (on, off)}
        rates: dict[Bench, list[float]] = {on: [], off: []}
        seconds: dict[Bench, list[float]] = {on: [], off: []}
        processes = {on: _generation("true"), off: _generation("false")}
        for made in (on, off):
            _load(made, paths[made], seconds=2.0)  # what is first is slower: connections, caches, keys
        for _ in range(RUNS):
            for made in (on, off):
                before = _processor_seconds(processes[made])
                rate = _load(made, paths[made]).requests_per_second
                rates[made].append(rate)
                seconds[made].append((_processor_seconds(processes[made]) - before) / (rate * SECONDS))
        targets = json.loads(on.platform.home.metrics.read_text())
        addresses = {group["labels"]["part"]: group["targets"][0] for group in targets}
        scrapes = [_scrape(addresses["generation"]) for _ in range(SCRAPES)]
    yield f"{CONNECTIONS} connections, {SECONDS:.0f} s a run, in turns, n={RUNS}"
    for name, made in (("on", on), ("off", off)):
        yield (
            f"metrics {name:<4} requests a second: median {statistics.median(rates[made]):6.0f}   "
            f"(min {min(rates[made]):.0f}, max {max(rates[made]):.0f})   "
            f"processor time a call: median {statistics.median(seconds[made]) * 1e6:.0f} µs"
        )
    yield f"the interceptor by itself: {asyncio.run(_interceptor_microseconds()):.1f} µs a call"
    took = statistics.median(each for each, _ in scrapes)
    yield f"a scrape of the generation service: median {took * 1000:.1f} ms, {scrapes[-1][1] / 1024:.0f} KiB"


def _path_of_a_job(made: Bench) -> str:
    dataset = made.client.datasets.upload(TABLE)
    job = made.client.generate(dataset, "gaussian_copula", rows=100, seed=1, progress=False)
    return f"/generation/status/{job.id}"


def _generation(metrics: str) -> psutil.Process:
    """The generation service of the platform that was started so."""
    for process in psutil.Process().children(recursive=True):
        if process.cmdline()[-1:] == ["services.generation"] and process.environ()["METRICS_ENABLED"] == metrics:
            return process
    raise LookupError(metrics)


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _load(made: Bench, path: str, *, seconds: float = SECONDS) -> Figures:
    command = [sys.executable, "-m", "benchmarks.load", made.platform.url + path]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    answer = subprocess.run(command, input=f"Bearer {made.access_token}", text=True, check=True, stdout=subprocess.PIPE)
    figures = Figures(**json.loads(answer.stdout))
    assert set(figures.statuses) == {"200"}, figures.statuses
    return figures


def _scrape(address: str) -> tuple[float, int]:
    with Stopwatch() as watch:
        answer = httpx.get(f"http://{address}/metrics")
    return watch.seconds, len(answer.content)


class _Ended:
    """As much of a call's context as measuring needs."""

    def code(self) -> int:
        return 0


async def _interceptor_microseconds() -> float:
    """What measuring adds to a call that does nothing."""

    async def nothing(request: Any, _context: Any) -> Any:
        return request

    bare: Any = grpc.unary_unary_rpc_method_handler(nothing)

    async def continuation(_details: Any) -> Any:
        return bare

    class Details:
        method = "/mirage.generation.v1.JobService/GetJob"

    measured: Any = await MetricsInterceptor(RpcMetrics()).intercept_service(continuation, Details())  # type: ignore[arg-type]  # as much of it as is looked at
    context = _Ended()
    taken = {}
    for name, behaviour in (("bare", nothing), ("measured", measured.unary_unary)):
        began = time.perf_counter()
        for _ in range(CALLS):
            await behaviour(None, context)
        taken[name] = time.perf_counter() - began
    return (taken["measured"] - taken["bare"]) / CALLS * 1e6
