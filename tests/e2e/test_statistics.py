"""What somebody has done, as figures: theirs for them, everybody's for administrators, nothing for anybody else."""

import time
from collections.abc import Callable
from uuid import uuid4

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.errors import InvalidRequest, PermissionDenied
from mirage.records.statistics import Dashboard, Performance
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

_PATIENCE_S = 60  # events and counts are told within seconds


def until(look: Callable[[], bool]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + _PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.2)


def test_a_job_in_figures(platform: PlatformForTests, client: Client, email: str, flights: pd.DataFrame) -> None:
    """A job that is done is in its user's figures and in everybody's, in nobody else's; requests are counted too."""
    dataset = client.datasets.upload(flights, name="flights")
    job = client.generate(dataset, "gaussian_copula", rows=20, progress=False)
    seen: list[Dashboard] = []

    def is_told() -> bool:
        seen.append(client.stats.dashboard(time_zone="Asia/Kathmandu"))
        return seen[-1].jobs["succeeded"] == 1 and seen[-1].recent_jobs[0].end_time is not None

    until(is_told)
    told = seen[-1]
    assert told.datasets == 1
    assert told.success_rate == 1.0
    assert told.mean_quality == pytest.approx(job.quality_score)
    assert [each.id for each in told.recent_jobs] == [job.id]
    assert told.storage is not None
    assert told.storage.dataset_bytes > 0 < told.storage.generation_bytes
    assert len(told.trend) == 30
    assert sum(day.jobs_succeeded for day in told.trend) == 1
    usage = client.stats.usage()
    assert (usage.formats, usage.model_types) == ({"parquet": 1}, {"gaussian_copula": 1})
    assert usage.dataset_rows == {"0 to 999": 1}

    measured: list[Performance] = []

    def is_counted() -> bool:
        measured.append(client.stats.performance())
        return any(each.route == "POST /generation/start" and each.requests for each in measured[-1].routes)

    until(is_counted)
    [start] = [each for each in measured[-1].routes if each.route == "POST /generation/start"]
    assert (start.requests, start.errors) == (1, 0)
    assert start.p50_seconds is not None
    assert start.p50_seconds > 0 < start.request_bytes
    [model] = measured[-1].models
    assert (model.model_type, model.succeeded, model.training_seconds.count) == ("gaussian_copula", 1, 1)
    assert model.peak_memory_bytes.count == 1

    with Client(platform.url) as other:
        other.register(f"{uuid4().hex}@example.org", PASSWORD, "Grace")
        nothing = other.stats.dashboard()
        assert (nothing.datasets, sum(nothing.jobs.values()), nothing.recent_jobs) == (0, 0, [])
        assert other.stats.performance().models == []
        with pytest.raises(PermissionDenied):
            other.stats.system()

    administrator = f"{uuid4().hex}@example.org"
    password = platform.make_administrator(administrator)
    with Client(platform.url).login(administrator, password) as admin:
        system = admin.stats.system()
        assert job.id in [each.id for each in system.dashboard.recent_jobs]
        assert system.dashboard.jobs["succeeded"] >= 1
        assert system.workload is not None
        assert system.workload.workers == 1
        assert system.users.active >= 1
        assert system.dashboard.notes == []
        assert any(each.route == "POST /generation/start" for each in admin.stats.performance().routes)
        assert admin.stats.performance(own=True).models == []

    signed_in = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": PASSWORD}).json()["data"]
    headers = {"authorization": f"Bearer {signed_in['access_token']}"}
    answer = httpx.get(f"{platform.url}/api/v1/stats/dashboard?days=2&time_zone=Europe/Vienna", headers=headers).json()
    assert answer["data"]["jobs"]["succeeded"] == 1
    assert answer["data"]["period"]["days"] == 2


def test_wrong_periods(client: Client) -> None:
    """Everything that is wrong of a period is told at once."""
    with pytest.raises(InvalidRequest) as error:
        client.stats.usage(days=367, time_zone="Middle-earth/Shire")
    assert {violation.field for violation in error.value.violations} == {"days", "time_zone"}
