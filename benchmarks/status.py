"""What reading a job's status costs, beside an RPC that does nothing."""

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.edge import CONNECTIONS, echo, edge_before, put_load
from benchmarks.load import Figures
from benchmarks.measuring import Bench, bench

RUNS = 3
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
        with echo(job.proto) as port, edge_before(made, port) as edge:
            for url in (made.platform.url, edge.url):
                _load(made, url + path, seconds=2.0)  # what is first is slower: connections, caches, keys
            for _ in range(RUNS):
                ours.append(_load(made, made.platform.url + path).requests_per_second)
                reference.append(_load(made, edge.url + path).requests_per_second)
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
    return put_load(url, made.access_token, seconds=seconds, rate=rate)
