"""Fixtures of the stories: a client and a small real table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest

from mirage import Client
from tests.support.platform import PlatformForTests

PASSWORD = "correct horse battery"
FLIGHTS = Path(__file__).resolve().parents[2] / "demo" / "flights.csv"


@pytest.fixture
def email() -> str:
    """An address that nobody has."""
    return f"{uuid4().hex}@example.org"


@pytest.fixture
def client(platform: PlatformForTests, email: str) -> Iterator[Client]:
    """Somebody who has just signed up."""
    with Client(platform.url) as opened:
        opened.register(email, PASSWORD, "Ada")
        yield opened


@pytest.fixture(scope="session")
def flights() -> pd.DataFrame:
    """A few hundred flights with a column of every kind, integers and booleans as what they are."""
    table = pd.read_csv(FLIGHTS, parse_dates=["date"], nrows=400)
    kept = table[["date", "carrier", "origin", "departure_delay", "distance", "plane_year", "temperature", "cancelled"]]
    return kept.assign(
        date=kept["date"].dt.date,
        departure_delay=kept["departure_delay"].astype("Int64"),
        plane_year=kept["plane_year"].astype("Int64"),
    )


@dataclass(frozen=True)
class Furnished:
    """Somebody who has one of everything."""

    email: str
    user_id: str
    ids: Mapping[str, str]  # by the names that requests have for them


@pytest.fixture(scope="session")
def furnished(platform: PlatformForTests, flights: pd.DataFrame) -> Furnished:
    """A user with a dataset, a job with its table, a model and a study, which no test takes away or ends."""
    email = f"{uuid4().hex}@example.org"
    with Client(platform.url) as client:
        user = client.register(email, PASSWORD, "Ada")
        dataset = client.datasets.upload(flights, name="flights")
        job = client.generate(dataset, "gaussian_copula", rows=20, progress=False)
        study = client.optimize(dataset, "gaussian_copula", 1, method="random", wait=False).stop()
        ids = {"dataset_id": dataset.id, "job_id": job.id, "model_id": job.model.id, "study_id": study.id}
        return Furnished(email, user.id, ids)


def end_what_runs(client: Client) -> None:
    """Ends the studies and jobs that somebody's requests have started."""
    for study in client.studies.list():
        study.stop()
    for job in client.jobs.list():
        job.cancel()
