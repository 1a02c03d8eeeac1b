"""A platform whose parts are killed and stopped, and somebody who uses it meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest

from mirage import Client
from tests.e2e.conftest import PASSWORD
from tests.e2e.faults.parts import Parts
from tests.support.platform import PlatformForTests, platform_for_tests

# Far longer than any test: whoever notices a dead process sooner knows of it by something else than its silence.
_SILENCE_S = "600"


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the platform's temporary files go."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Iterator[PlatformForTests]:
    """A platform of its own: others would be disturbed by what is done to it."""
    settings = {
        "WORKER_HEARTBEAT_SECONDS": _SILENCE_S,
        "INGESTION_HEARTBEAT_SECONDS": _SILENCE_S,
        "STUDY_HEARTBEAT_SECONDS": _SILENCE_S,
        "STREAM_HEARTBEAT_SECONDS": "1",
        "WORKER_SLOTS": "1",
        "RATE_LIMITS": "off",
        "TMPDIR": str(temporary),
    }
    with platform_for_tests(tmp_path_factory.mktemp("platform"), **settings) as running:
        yield running


@pytest.fixture
def parts(platform: PlatformForTests, temporary: Path) -> Iterator[Parts]:
    """The platform's processes and what they keep; whatever a test stopped runs again afterwards."""
    found = Parts(platform, temporary)
    yield found
    found.restore()


@pytest.fixture
def client(platform: PlatformForTests) -> Iterator[Client]:
    """Somebody who has just signed up."""
    with Client(platform.url) as opened:
        opened.register(f"{uuid4().hex}@example.org", PASSWORD, "Ada")
        yield opened


@pytest.fixture
def people() -> pd.DataFrame:
    """A small table."""
    return pd.DataFrame(
        {
            "age": [20 + number * 7 % 50 for number in range(120)],
            "city": ["Vienna", "Graz", "Linz"] * 40,
            "income": [1000.5 + number * 13 % 700 for number in range(120)],
        }
    )
