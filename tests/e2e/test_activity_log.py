"""What people do, in the platform's log: told by the services in which it happened."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from mirage import Client
from tests.support.activity_log import Told, told_once
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")


def test_a_table_from_sign_up_to_download(
    platform: PlatformForTests, client: Client, flights: pd.DataFrame, tmp_path: Path
) -> None:
    """Every step from the account to the downloaded table is in the log, by who did it, with what proves it."""
    user_id = client.account.me().id
    dataset = client.datasets.upload(flights, name="flights")
    job = client.generate(dataset, "gaussian_copula", rows=20, progress=False)
    table = job.download(tmp_path / "table.parquet").read_bytes()
    told = told_once(platform, user_id, lambda told: told[-1].kind == "table.downloaded")
    by_kind = {each.kind: each for each in told}
    steps = ["account.registered", "session.started", "dataset.uploaded", "job.created", "job.started", "job.succeeded"]
    assert [by_kind[step].service for step in steps] == ["auth", "auth", "dataset", *["generation"] * 3]
    uploaded, succeeded = by_kind["dataset.uploaded"], by_kind["job.succeeded"]
    assert uploaded.attributes["rows"] == len(flights)
    assert by_kind["job.created"].attributes["source_sha256"] == uploaded.attributes["table_sha256"]
    assert succeeded.related["dataset_version_id"] == uploaded.related["dataset_version_id"]
    assert succeeded.attributes["table_sha256"] == hashlib.sha256(table).hexdigest()
    assert succeeded.attributes["quality"].keys() <= {
        "statistical_similarity",
        "correlation_preservation",
        "privacy",
        "ml_efficacy",
    }
    assert succeeded.attributes["peak_memory_bytes"] > 0
    assert succeeded.attributes["versions"]["mirage"]
    assert succeeded.attributes["seconds"]["training"] > 0
    assert _actors(told, ("job.created", "table.downloaded")) == {user_id}
    assert _actors(told, ("job.started", "job.succeeded")) == {""}


def _actors(told: list[Told], kinds: tuple[str, ...]) -> set[str]:
    return {each.actor_id for each in told if each.kind in kinds}
