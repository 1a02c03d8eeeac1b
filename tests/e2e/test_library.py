"""Stories told with the library, on the whole platform."""

import asyncio
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from mirage import AsyncClient, Client, compare
from mirage.errors import InvalidRequest, JobCancelled, NotFound, NotPossible, NotSignedIn, PermissionDenied
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

ROWS = 250


def test_from_a_table_to_synthetic_rows(client: Client, flights: pd.DataFrame, tmp_path: Path) -> None:
    """Upload a table, look at it, train, watch, download in every format, sample again, delete."""
    dataset = client.datasets.upload(flights, name="flights")
    assert (dataset.state, dataset.row_count, dataset.column_count) == ("ready", len(flights), len(flights.columns))
    types = {column.name: column.type for column in dataset.columns}
    assert types == {
        "date": "date",
        "carrier": "categorical",
        "origin": "categorical",
        "departure_delay": "integer",
        "distance": "integer",
        "plane_year": "integer",
        "temperature": "float",
        "cancelled": "boolean",
    }
    stats = dataset.stats().dataframe()
    assert stats.loc["plane_year", "missing"] == flights["plane_year"].isna().sum()
    assert stats.loc["distance", "mean"] == pytest.approx(flights["distance"].mean())
    pd.testing.assert_frame_equal(dataset.dataframe(), flights, check_dtype=False)
    assert dataset.rows(2)[1]["carrier"] == flights["carrier"][1]

    job = client.generate("flights", model="ctgan", rows=ROWS, seed=7, epochs=10, batch_size=100, wait=False)
    events = list(job.watch(timeout_s=180))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].state == "succeeded"
    trained = [event for event in events if event.state == "training" and event.losses]
    assert trained[-1].epoch == trained[-1].epochs == 10
    assert all(np.isfinite(list(event.losses.values())).all() for event in trained)
    job.wait()
    assert (job.state, job.progress, job.seed, job.parameters["epochs"]) == ("succeeded", 1.0, 7, 10)

    synthetic = job.dataframe()
    assert list(synthetic.columns) == list(flights.columns)
    assert len(synthetic) == ROWS
    assert str(synthetic["departure_delay"].dtype).lower() == "int64"
    assert set(synthetic["carrier"].dropna()) <= set(flights["carrier"])
    assert 0 <= (compare(flights, synthetic, types).score or -1) <= 1
    assert_every_format(job_files(job.download, tmp_path), job.table())

    report = job.quality()
    assert report.score is not None
    assert job.quality_score == report.score.value == report.metrics()["quality_score"]
    assert set(report.parts) == {"statistical_similarity", "correlation_preservation", "ml_efficacy", "privacy"}
    judged = client.evaluate(dataset, job, seed=job.seed)
    assert judged.score == report.score
    assert client.evaluate(dataset, synthetic, columns=["carrier", "distance"]).rows.synthetic == ROWS
    assert [kept.id for kept in client.datasets.list()] == [dataset.id]  # what was uploaded to be judged is gone

    again = job.model.sample(40, seed=3)
    pd.testing.assert_frame_equal(again.dataframe(), job.model.sample(40, seed=3).dataframe())
    assert again.table().schema.remove_metadata() == job.table().schema.remove_metadata()
    assert job.model.refresh().training_row_count > 0

    with pytest.raises(NotPossible):
        dataset.delete()
    assert dataset.delete(cascade=True) == {"jobs": 1, "models": 1, "studies": 0}
    with pytest.raises(NotFound):
        client.jobs.get(job.id)
    assert client.datasets.list() == []


def job_files(download: object, directory: Path) -> dict[str, Path]:
    """Downloads a job's table in each format; returns the files by format."""
    assert callable(download)
    return {each: download(directory / f"table.{each}") for each in ("csv", "jsonl", "json", "parquet", "xlsx", "zip")}


def assert_every_format(files: dict[str, Path], table: pa.Table) -> None:
    """Checks that every file holds the table: as many rows, the same columns, the same numbers, missing or not."""
    frames = {
        "csv": pd.read_csv(files["csv"]),
        "jsonl": pd.read_json(files["jsonl"], lines=True),
        "json": pd.read_json(files["json"]),
        "parquet": pd.read_parquet(files["parquet"]),
        "xlsx": pd.read_excel(files["xlsx"]),
    }
    for name, frame in frames.items():
        assert list(frame.columns) == table.column_names, name
        assert len(frame) == table.num_rows, name
        delays = [None if pd.isna(delay) else int(delay) for delay in frame["departure_delay"]]
        assert delays == table.column("departure_delay").to_pylist(), name
    assert parquet.read_table(files["parquet"]).equals(table)
    with zipfile.ZipFile(files["zip"]) as archive:
        (document,) = [name for name in archive.namelist() if name.endswith(".json")]
        assert json.loads(archive.read(document))["settings"]["seed"] == 7


def test_same_seed_same_rows(client: Client, flights: pd.DataFrame) -> None:
    """Two jobs with the same seed, table and parameters make the same table, byte for byte; another makes another."""
    dataset = client.datasets.upload(flights[["carrier", "distance", "cancelled"]], name="seeds")
    hashes = [client.generate(dataset, model="gaussian_copula", rows=100, seed=seed).table_sha256 for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


async def test_asynchronously(platform: PlatformForTests, email: str, flights: pd.DataFrame) -> None:
    """The asynchronous client does the same, several things at a time."""
    async with AsyncClient(platform.url) as client:
        await client.register(email, PASSWORD)
        dataset = await client.datasets.upload(flights[["carrier", "distance"]], name="asynchronous")
        jobs = await asyncio.gather(
            *(client.generate(dataset, model="gaussian_copula", rows=20 + seed, seed=seed) for seed in range(3))
        )
        frames = await asyncio.gather(*(job.dataframe() for job in jobs))
        assert [len(frame) for frame in frames] == [20, 21, 22]
        assert {job.id for job in await client.jobs.list(state="succeeded")} == {job.id for job in jobs}


def test_everything_wrong_is_told_at_once(client: Client, flights: pd.DataFrame) -> None:
    """A request with several faults names all of them, whether it is started or only checked."""
    dataset = client.datasets.upload(flights, name="faulty")
    with pytest.raises(InvalidRequest) as caught:
        client.generate(dataset, model="ctgan", rows=0, epochs="many", nonsense=1)
    fields = {violation.field for violation in caught.value.violations}
    assert {"sample_size", "model_config.epochs", "model_config.nonsense"} <= fields
    validation = client.validate(dataset, model="ctgan", rows=0, epochs="many")
    assert not validation.valid
    assert {"sample_size", "model_config.epochs"} <= {violation.field for violation in validation.violations}
    assert client.validate(dataset, model="tvae", rows=10, epochs=20).valid


def test_cancelling(client: Client, flights: pd.DataFrame) -> None:
    """A job that is cancelled while it trains ends as cancelled, for those who wait for it too."""
    dataset = client.datasets.upload(flights, name="long")
    job = client.generate(dataset, model="ctgan", rows=10, epochs=500, wait=False)
    for event in job.watch(timeout_s=120):
        if event.state == "training" and event.epoch:
            job.cancel()
            break
    with pytest.raises(JobCancelled):
        job.wait(timeout_s=60)
    assert job.cancel().state == "cancelled"
    job.delete()
    assert client.jobs.list() == []


def test_strangers_see_nothing(client: Client, platform: PlatformForTests, flights: pd.DataFrame, email: str) -> None:
    """Another user can't see a private dataset, and can see a public one."""
    dataset = client.datasets.upload(flights[["carrier", "distance"]], name="mine")
    with Client(platform.url) as stranger:
        stranger.register(f"other-{email}", PASSWORD)
        with pytest.raises(NotFound):
            stranger.datasets.get(dataset.id)
        with pytest.raises(PermissionDenied):
            stranger.admin.users()
        dataset.update(visibility="public", description="for all")
        assert stranger.datasets.get(dataset.id).description == "for all"
        assert dataset.id in [found.id for found in stranger.datasets.list(visibility="public")]
        with pytest.raises((NotFound, PermissionDenied)):
            stranger.datasets.get(dataset.id).delete()


def test_versions(client: Client, flights: pd.DataFrame) -> None:
    """A dataset gets a second version; the first stays as it was."""
    dataset = client.datasets.upload(flights[["carrier", "distance"]].head(50), name="versions")
    added = dataset.add_version(flights[["carrier", "distance"]].head(80))
    assert (added.version, added.row_count) == (2, 80)
    assert [version.row_count for version in dataset.versions()] == [80, 50]
    assert (len(dataset.dataframe()), len(dataset.dataframe(version=1))) == (80, 50)


def test_account(client: Client, platform: PlatformForTests, email: str) -> None:
    """A user changes name, profile and password; other devices are signed out, and the old password is dead."""
    with Client(platform.url).login(email, PASSWORD) as other_device:
        assert len(client.account.sessions()) == 2
        assert client.account.update(display_name="Ada L.").display_name == "Ada L."
        profile = client.account.update_profile(organisation="Analytical Engines", preferences={"theme": "dark"})
        assert (profile.organisation, profile.preferences) == ("Analytical Engines", {"theme": "dark"})
        assert client.account.change_password(PASSWORD, "another good passphrase") == 1
        assert client.account.me().email == email
        with pytest.raises(NotSignedIn):
            Client(platform.url).login(email, PASSWORD)
        other_device.login(email, "another good passphrase")


def test_administrator(client: Client, platform: PlatformForTests, email: str) -> None:
    """An administrator finds a user, switches the account off and on, and makes another administrator."""
    root = f"root-{email}"
    with Client(platform.url).login(root, platform.make_administrator(root)) as administrator:
        user = administrator.admin.user(email)
        assert administrator.admin.deactivate(user.id).state == "inactive"
        with pytest.raises(PermissionDenied):
            Client(platform.url).login(email, PASSWORD)
        assert administrator.admin.activate(user.id).state == "active"
        assert administrator.admin.set_role(user.id, "administrator").role == "administrator"
        assert [found.email for found in administrator.admin.users(text=email, role="administrator")][-1:] == [email]
