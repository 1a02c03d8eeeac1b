"""Fixtures of the stories: a client and a small real table."""

from collections.abc import Iterator
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
