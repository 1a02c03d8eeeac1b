"""What the optimizer adds to a trial, and what its fitting costs those who ask something meanwhile."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import text

from benchmarks.measuring import Bench, bench, told
from mirage.plain.studies import Study
from servicekit.database import Database
from servicekit.timestamps import utc_now
from services.optimizer.models import Trial
from services.optimizer.search import Suggestion
from services.optimizer.states import TrialState

STUDIES = 5
TRIALS = 100
ASKED = 8  # trials that are asked for while so many are behind them
TABLE = Path(__file__).resolve().parent.parent / "demo" / "flights.csv"
_OURS, _ANOTHERS = "/optimization/studies", "/auth/me"
SPACE = {"epochs": [10, 12], "embedding_dim": [2, 64], "l2scale": [1e-6, 1e-3], "loss_factor": [1, 10]}


def run() -> Iterator[str]:
    """A trial beside its training and judging alone, and the slowest answers while a study of 100 trials is fitted."""
    with bench(MAX_OPTIMIZATION_TRIALS=str(TRIALS)) as made:
        dataset = made.client.datasets.upload(TABLE).id
        yield from _overhead(made, dataset)
        yield from _answers(made, dataset)


def _overhead(made: Bench, dataset: str) -> Iterator[str]:
    whole: list[float] = []
    bare: list[float] = []
    for seed in range(STUDIES + 1):  # the first warms up: libraries are loaded, processes started
        study = _study(made, dataset, "random", 1, seed)
        began = ended = 0.0
        for event in study.watch():
            began = began or event.time.timestamp()
            if event.kind == "trial_ended":
                ended = event.time.timestamp()
        if seed:
            whole.append(ended - began)
            bare.append(asyncio.run(_alone(made, study.id)))
    yield told("a trial, from the study's start to its score", whole)
    yield told("its training, drawing and judging alone", bare)
    differences = [one - other for one, other in zip(whole, bare, strict=True)]
    yield told("overhead of the platform", differences)


async def _alone(made: Bench, study_id: str) -> float:
    """Seconds of a kept trial that the child process spent on the work itself."""
    database = Database(made.platform.base.database_url("generation"), pool_size=1)
    query = text("SELECT details -> 'seconds' FROM jobs WHERE study_id = :study AND trial_number = 1")
    async with database.sessions() as session:
        seconds = (await session.execute(query, {"study": UUID(study_id)})).scalar_one()
    await database.close()
    return float(sum(seconds.values()))


def _answers(made: Bench, dataset: str) -> Iterator[str]:
    """Requests every 20 ms: before, and while trials are asked for with almost a hundred behind them."""
    idle = _asking(made, _OURS, until=lambda: False, seconds=5.0)
    study = _study(made, dataset, "bayesian", TRIALS, 1)
    next(event for event in study.watch() if event.kind == "trial_started")
    asyncio.run(_invent(made, study.id, TRIALS - ASKED))
    over = threading.Event()

    def wait() -> None:
        try:
            study.wait(progress=False)
        finally:
            over.set()

    beside: list[float] = []

    def ask_beside() -> None:
        beside.extend(_asking(made, _ANOTHERS, until=over.is_set, seconds=300.0))

    threads = [threading.Thread(target=wait), threading.Thread(target=ask_beside)]
    for thread in threads:
        thread.start()
    busy = _asking(made, _OURS, until=over.is_set, seconds=300.0)
    for thread in threads:
        thread.join()
    trials = study.trials()
    begun = [trial.proto.create_time.ToDatetime() for trial in trials[-ASKED + 1 :]]
    ended = [trial.proto.end_time.ToDatetime() for trial in trials[-ASKED:-1]]
    yield told(
        f"from a trial's end to the next, {TRIALS - ASKED} behind it",
        [(start - end).total_seconds() for start, end in zip(begun, ended, strict=True)],
    )
    figures = {
        f"GET {_OURS}, nothing else done": idle,
        "the same while it is fitted": busy,
        f"GET {_ANOTHERS}, of a service that fits nothing": beside,
    }
    for name, seconds in figures.items():
        ordered = sorted(seconds)
        p50, p99 = (ordered[int(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.99))
        yield f"{name:<44} p50 {p50:.0f} ms, p99 {p99:.0f} ms, slowest {ordered[-1] * 1000:.0f} ms (n={len(ordered)})"


def _study(made: Bench, dataset: str, method: str, trials: int, seed: int) -> Study:
    return made.client.optimize(
        dataset, "tvae", trials, method=method, space=SPACE, seed=seed, batch_size=500, wait=False
    )


def _asking(made: Bench, path: str, until: Callable[[], bool], seconds: float) -> list[float]:
    """How long answers take, one request after the other, until something holds or the time is over."""
    taken: list[float] = []
    ends = time.monotonic() + seconds
    headers = {"authorization": f"Bearer {made.access_token}"}
    with httpx.Client(base_url=made.platform.url, headers=headers) as http:
        while time.monotonic() < ends and not until():
            began = time.perf_counter()
            http.get(path).raise_for_status()
            taken.append(time.perf_counter() - began)
            time.sleep(0.02)
    return taken


async def _invent(made: Bench, study_id: str, count: int) -> None:
    """Puts trials that have ended behind the first one, so that the next is asked for with all of them known."""
    draw = random.Random(7)  # noqa: S311 - scores for a measurement
    database = Database(made.platform.base.database_url("optimizer"), pool_size=1)
    async with database.sessions.begin() as session:
        await session.execute(text("SELECT id FROM studies WHERE id = :id FOR UPDATE"), {"id": UUID(study_id)})
        known = set(
            (
                await session.scalars(text("SELECT number FROM trials WHERE study_id = :id"), {"id": UUID(study_id)})
            ).all()
        )
        for number in range(max(known, default=0) + 1, count + 1):
            point = {
                "epochs": draw.randint(10, 12),
                "embedding_dim": draw.randint(2, 64),
                "l2scale": 10 ** draw.uniform(-6, -3),
                "loss_factor": draw.uniform(1, 10),
            }
            asked = Suggestion(number, dict(point), {**point, "batch_size": 500})
            session.add(
                Trial(
                    study_id=UUID(study_id),
                    number=number,
                    state=TrialState.SUCCEEDED,
                    suggestion=asked.to_record(),
                    parameters=point,
                    metrics={"quality_score": draw.random()},
                    score=0.0,
                    started_at=utc_now(),
                    ended_at=utc_now(),
                )
            )
    await database.close()
