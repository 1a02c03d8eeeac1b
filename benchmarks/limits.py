"""What rate limits cost a request."""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edge import CONNECTIONS, Edge, echo, edge_before, put_load
from benchmarks.measuring import Bench, bench
from mirage.generation.v1 import job_pb2

RUNS = 5
SECONDS = 4.0
PATH = "/generation/status/any"
NEVER_REACHED = "default: 999999/second"
ALWAYS_REACHED = "default: 1/day"


@dataclass(frozen=True)
class _Cost:
    requests_per_second: float
    microseconds: float  # of Envoy's processor time, for each request


def run() -> Iterator[str]:
    """GET /generation/status through Envoy before a bare echo, with limits and without; and what a refusal costs."""
    with bench() as made, tempfile.TemporaryDirectory() as directory:
        never, always = Path(directory) / "never.yaml", Path(directory) / "always.yaml"
        never.write_text(NEVER_REACHED, encoding="utf-8")
        always.write_text(ALWAYS_REACHED, encoding="utf-8")
        costs: dict[str, list[_Cost]] = {"without limits": [], "with limits": [], "refused": []}
        with (
            echo(job_pb2.Job(job_id="any", state=job_pb2.JOB_STATE_SUCCEEDED)) as port,
            edge_before(made, port, rate_limits="off") as off,
            edge_before(made, port, rate_limits=str(never)) as on,
            edge_before(made, port, rate_limits=str(always)) as refusing,
        ):
            edges = dict(zip(costs, (off, on, refusing), strict=True))
            for edge in edges.values():
                put_load(edge.url + PATH, made.access_token, seconds=1.0, status=None)  # the first are slower
            for _ in range(RUNS):
                for name, edge in edges.items():
                    costs[name].append(_cost(made, edge, status="429" if edge is refusing else "200"))
    yield f"{CONNECTIONS} connections, {SECONDS:.0f} s a run, {RUNS} runs of each in turn"
    for name, each in costs.items():
        rates = [cost.requests_per_second for cost in each]
        times = [cost.microseconds for cost in each]
        yield (
            f"{name:<16} requests a second: median {statistics.median(rates):6.0f} (min {min(rates):.0f}, "
            f"max {max(rates):.0f})   Envoy's processor time a request: median {statistics.median(times):4.0f} µs "
            f"(min {min(times):.0f}, max {max(times):.0f})"
        )
    added = [
        one.microseconds - other.microseconds
        for one, other in zip(costs["with limits"], costs["without limits"], strict=True)
    ]
    yield f"added by limits: median {statistics.median(added):.0f} µs (min {min(added):.0f}, max {max(added):.0f})"


def _cost(made: Bench, edge: Edge, *, status: str) -> _Cost:
    before = edge.processor_seconds
    figures = put_load(edge.url + PATH, made.access_token, seconds=SECONDS, status=status)
    worked = edge.processor_seconds - before
    return _Cost(figures.requests_per_second, worked * 1e6 / sum(figures.statuses.values()))
