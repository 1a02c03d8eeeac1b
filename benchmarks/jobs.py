"""How many jobs a machine gets done when several are asked for at once."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Stopwatch, signed_in

JOBS = 8
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"


def run() -> Iterator[str]:
    """Eight Gaussian copulas of 6,000 rows each, one, two, four and eight asked for at once: jobs a minute."""
    with signed_in() as client:
        dataset = client.datasets.upload(TABLE)
        client.generate(dataset, "gaussian_copula", rows=1000, seed=0, progress=False)  # a worker's first loads SDV
        for at_once in (1, 2, 4, 8):
            with Stopwatch() as watch:
                for _ in range(0, JOBS, at_once):
                    started = [
                        client.generate(dataset, "gaussian_copula", rows=1000, seed=seed, wait=False)
                        for seed in range(at_once)
                    ]
                    for job in started:
                        job.wait(progress=False)
            yield f"{at_once} at once: {JOBS / watch.seconds * 60:6.1f} jobs a minute ({watch.seconds:.1f} s in all)"
