"""What traces cost: a request that isn't recorded, beside one that is."""

import statistics
import sys
import timeit
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from subprocess import run as run_program
from typing import Any, NamedTuple

import grpc
import psutil
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from benchmarks.edge import put_load
from benchmarks.measuring import Bench, bench, process_of
from benchmarks.status import SECONDS, TABLE
from servicekit import tracing

RUNS = 3


class _Cost(NamedTuple):
    """What a request took of the processors, in microseconds."""

    gateway: float
    service: float
    requests_per_second: float


class _Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans and counts them."""

    spans = 0

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, _context: Any) -> Any:
        """Takes a batch."""
        self.spans += sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
        return trace_service_pb2.ExportTraceServiceResponse()


def run() -> Iterator[str]:
    """GET /generation/status without a collector, with one that gets nothing, and with one that gets everything."""
    yield f"16 connections, {SECONDS:.0f} s a run, n={RUNS}; processor time of a request, medians"
    with _collecting() as (collector, endpoint):
        for name, settings in (
            ("no collector", {}),
            ("a collector, nothing recorded", _settings(endpoint, "always_off")),
            ("a collector, everything recorded", _settings(endpoint, "always_on")),
        ):
            before = collector.spans
            costs, requests = _measured(settings)
            yield (
                f"{name:<34} gateway {statistics.median(cost.gateway for cost in costs):4.0f} µs, "
                f"service {statistics.median(cost.service for cost in costs):4.0f} µs, "
                f"{statistics.median(cost.requests_per_second for cost in costs):5.0f} requests a second, "
                f"{(collector.spans - before) / requests:.1f} spans taken of a request"
            )
    empty_ns = min(timeit.repeat(_empty_span, number=100_000, repeat=5)) / 100_000 * 1e9
    yield f"an empty span, where there is no collector: {empty_ns:.0f} ns"
    for names in ("servicekit.tracing", "servicekit.tracing, servicekit.span_export, servicekit.statements"):
        yield f"import of {names}: {_import_ms(names):.0f} ms more than a service's others"


def _empty_span() -> None:
    with tracing.span("nothing"):
        pass


def _import_ms(names: str) -> float:
    """Milliseconds that imports take in a process that has imported what a service does anyhow; the best of five."""
    program = "import time, servicekit.settings, grpc.aio, asyncpg, structlog\nbegan = time.perf_counter()\n"
    program += f"import {names}\nprint((time.perf_counter() - began) * 1000)"
    command = [sys.executable, "-c", program]
    return min(float(run_program(command, capture_output=True, text=True, check=True).stdout) for _ in range(5))


def _settings(endpoint: str, sampler: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": sampler}


def _measured(settings: dict[str, str]) -> tuple[list[_Cost], float]:
    """Each run's cost, and how many requests there were in all."""
    with bench(**settings) as made:
        dataset = made.client.datasets.upload(TABLE)
        job = made.client.generate(dataset, "gaussian_copula", rows=100, seed=1, progress=False)
        url = f"{made.platform.url}/generation/status/{job.id}"
        put_load(url, made.access_token, seconds=2.0)  # what is first is slower: connections, caches, keys
        costs = [_cost(made, url) for _ in range(RUNS)]
    return costs, sum(cost.requests_per_second * SECONDS for cost in costs)


def _cost(made: Bench, url: str) -> _Cost:
    gateway, service = _gateway(made), process_of("services.generation")
    before = _seconds(gateway), _seconds(service)
    figures = put_load(url, made.access_token, seconds=SECONDS)
    requests = figures.requests_per_second * SECONDS
    spent = _seconds(gateway) - before[0], _seconds(service) - before[1]
    return _Cost(spent[0] / requests * 1e6, spent[1] / requests * 1e6, figures.requests_per_second)


def _gateway(made: Bench) -> psutil.Process:
    bootstrap = str(made.platform.home.run / "gateway" / "envoy.yaml")
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if bootstrap in process.cmdline():
                return process
    raise LookupError(bootstrap)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _collecting() -> Iterator[tuple[_Collector, str]]:
    collector = _Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call] # its library's
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
