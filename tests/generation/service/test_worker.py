"""The real worker: real queue, real training in a child process, real objects. One worker serves all tests here."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc.aio
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from sqlalchemy import text

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2, model_pb2
from servicekit.structs import from_struct, to_struct
from services.generation import worker
from services.generation.settings import WorkerSettings
from services.generation.training.runner import LAUNCHER
from tests.generation.service.platform import ROWS, SCHEMA, Client, Platform, open_platform, people, settings_for, until
from tests.generation.service.search import Scored, Search
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("generation-worker")]

TVAE = {"model_type": "tvae", "epochs": 10, "batch_size": 50, "embedding_dim": 8}
ENDLESS = {"model_type": "tvae", "epochs": 500, "batch_size": 2}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def working(
    postgres: PostgresForTests,
    object_store: EmbeddedObjectStore,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Platform, Path]]:
    """A running service with a worker of two slots, and the directory that the worker works in."""
    workspace = tmp_path_factory.mktemp("workspace")
    async with open_platform(postgres, object_store, tokens) as platform:
        values = settings_for(
            postgres, object_store, platform.settings.auth_address, platform.settings.dataset_address, worker_slots=2
        )
        stop = asyncio.Event()
        task = asyncio.create_task(worker.work(WorkerSettings(**values), stop, workspace))
        yield platform, workspace
        stop.set()
        await task
    assert list(workspace.iterdir()) == [], "nothing is left on the disk"


@pytest.fixture
def platform(working: tuple[Platform, Path]) -> Platform:
    """The running service."""
    return working[0]


async def table_of(user: Client, job_id: str) -> pa.Table:
    """The job's synthetic table."""
    content, _ = await user.download(job_id, "parquet")
    return pq.read_table(io.BytesIO(content))


async def sampled(user: Client, model_id: str, **fields: Any) -> tuple[bytes, dict[str, str]]:
    """What a model gives, and the answer's headers."""
    call = user.models.SampleModel(model_pb2.SampleModelRequest(model_id=model_id, **fields))
    content = b"".join([body.data async for body in call])
    return content, dict(await call.initial_metadata())


async def test_a_job_from_start_to_end(platform: Platform) -> None:
    """A TVAE learns a table: real progress, a table of the source's types and limits, a model, metadata, hashes."""
    user = platform.user()
    source = people()
    dataset_id = await platform.dataset(user, source)
    job = await user.start(dataset_id, model_config=TVAE, sample_size=200, seed=11)
    events = await user.events(job.job_id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    progress = [event.progress for event in events]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    trained = [event for event in events if event.epochs]
    assert trained[-1].epoch == trained[-1].epochs == 10
    assert all(event.losses for event in trained if event.epoch)
    assert any(event.HasField("seconds_left") for event in trained)
    assert events[-1].rows_sampled == 200
    assert events[-1].state == job_pb2.JOB_STATE_SUCCEEDED
    table = await table_of(user, job.job_id)
    assert table.schema.remove_metadata().equals(SCHEMA)
    assert len(table) == 200
    ids = set(table.column("person_id").to_pylist())
    assert len(ids) == 200
    assert not ids & set(source.column("person_id").to_pylist()), "identifiers are new ones"
    assert set(table.column("city").to_pylist()) <= {"Vienna", "Graz", "Linz"}
    assert table.column("age").null_count > 0
    assert table.column("income").null_count == 0
    done = await user.get(job.job_id)
    document = from_struct((await user.jobs.GetJobMetadata(job_pb2.GetJobMetadataRequest(job_id=job.job_id))).metadata)
    assert document["settings"]["model_config"]["epochs"] == 10
    assert [column["name"] for column in document["table"]["columns"]] == SCHEMA.names
    assert document["table"]["columns"][0] == {
        "name": "person_id",
        "type": "identifier",
        "role": "primary_key",
        "arrow_type": "int64",
    }
    assert {"mirage", "sdv", "torch"} <= set(document["versions"])
    assert document["timings"]["seconds"]["training"] > 0
    model = await user.models.GetModel(model_pb2.GetModelRequest(model_id=done.model_id))
    assert (model.training_row_count, model.seed, list(model.columns)) == (ROWS, 11, SCHEMA.names)
    assert document["model"]["sha256"] == model.model_sha256
    assert await platform.objects(user) == {
        f"{user.user_id}/{job.job_id}/1/synthetic.parquet",
        f"{user.user_id}/{job.job_id}/1/model.zip",
    }


@pytest.mark.parametrize(
    ("model_config", "engine"),
    [
        ({"model_type": "autoregressive", "epochs": 2, "width": 16, "inner_width": 16}, ""),
        ({"model_type": "gaussian_copula"}, "mirage"),
    ],
    ids=["autoregressive", "gaussian_copula"],
)
async def test_jobs_of_mirages_own_engine(platform: Platform, model_config: dict[str, object], engine: str) -> None:
    """The engine's models train, draw, are kept and draw again under conditions, and nothing of SDV has part in it."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job = await user.start(dataset_id, model_config=model_config, engine=engine, sample_size=150, seed=3)
    assert job.engine == "mirage"
    events = await user.events(job.job_id)
    assert events[-1].state == job_pb2.JOB_STATE_SUCCEEDED
    if "epochs" in model_config:
        trained = [event for event in events if event.epoch]
        assert {event.epochs for event in trained} == {2}
        assert all({"loss", "held_out"} <= set(event.losses) for event in trained)
    table = await table_of(user, job.job_id)
    assert table.schema.remove_metadata().equals(SCHEMA)
    assert len(table) == 150
    document = from_struct((await user.jobs.GetJobMetadata(job_pb2.GetJobMetadataRequest(job_id=job.job_id))).metadata)
    assert "sdv" not in document["versions"]
    model_id = (await user.ended(job.job_id)).model_id
    conditions = to_struct({"city": "Graz"})
    content, _ = await sampled(user, model_id, n=40, seed=1, format="parquet", conditions=conditions)
    again = pq.read_table(io.BytesIO(content))
    assert again["city"].to_pylist() == ["Graz"] * 40


async def test_a_trial_is_scored_while_it_trains(platform: Platform) -> None:
    """At the epochs that a search asks for a sample of the rows is judged by its metrics; of other epochs none is."""
    user = platform.user()
    search = Search(platform, user, await platform.dataset(user))
    config = {"model_type": "autoregressive", "epochs": 4, "width": 16, "inner_width": 16}
    await search.start(scored=Scored((1, 3), ("statistical_similarity",)), model_config=config, seed=3)
    events = await search.events()
    assert events[-1].state == job_pb2.JOB_STATE_SUCCEEDED
    scored = [event for event in events if event.scores]
    assert [(event.epoch, set(event.scores)) for event in scored] == [
        (1, {"statistical_similarity"}),
        (3, {"statistical_similarity"}),
    ]
    assert all(0.3 < event.scores["statistical_similarity"] <= 1 for event in scored)


async def test_the_same_seed_gives_the_same_rows(platform: Platform) -> None:
    """Two jobs of the same table, settings and seed make the same object, byte for byte; another seed another."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    same, again, other = [
        await user.start(dataset_id, seed=seed, columns=["age", "city", "joined"]) for seed in (5, 5, 6)
    ]
    hashes = [(await user.ended(job.job_id)).table_sha256 for job in (same, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert (await table_of(user, same.job_id)).column_names == ["age", "city", "joined"]


async def test_sampling_a_model_again(platform: Platform) -> None:
    """A kept model gives rows without training: the same for the same seed, in both formats, under conditions."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    model_id = (await user.ended(job.job_id)).model_id
    lines, headers = await sampled(user, model_id, n=30, seed=1)
    assert headers["x-seed"] == "1"
    assert (await sampled(user, model_id, n=30, seed=1))[0] == lines
    assert (await sampled(user, model_id, n=30, seed=2))[0] != lines
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) == 30
    assert list(rows[0]) == SCHEMA.names
    assert all(isinstance(row["active"], bool) and isinstance(row["age"], int | None) for row in rows)
    text, headers = await sampled(user, model_id, n=20, format="csv", conditions=to_struct({"city": "Graz"}))
    records = list(csv.DictReader(io.StringIO(text.decode())))
    assert [record["city"] for record in records] == ["Graz"] * 20
    assert int(headers["x-seed"]) >= 0
    typed, _ = await sampled(user, model_id, n=30, seed=1, format="parquet")
    assert pq.read_table(io.BytesIO(typed)).schema.remove_metadata().equals(SCHEMA)
    async with refused("INVALID_REQUEST") as refusal:
        await sampled(user, model_id, n=0, format="xml", conditions=to_struct({"town": "Graz"}))
    assert set(refusal.violations) == {"n", "format", "conditions.town"}
    unmet = to_struct({"city": "Atlantis", "age": 400, "income": "high", "person_id": 1001, "town": "Graz"})
    async with refused("INVALID_REQUEST") as refusal:
        await sampled(user, model_id, n=0, conditions=unmet)
    assert set(refusal.violations) == {"n", *(f"conditions.{name}" for name in unmet.fields)}
    assert "the source doesn't have this value" in refusal.violations["conditions.city"]


async def test_a_sampler_that_nobody_listens_to(platform: Platform) -> None:
    """A client that goes away in the middle ends the child process that draws the rows."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    model_id = (await user.ended(job.job_id)).model_id
    call = user.models.SampleModel(model_pb2.SampleModelRequest(model_id=model_id, n=100_000))
    before = children()
    await call.read()
    assert children() - before
    call.cancel()

    async def gone() -> bool:
        return not children() - before

    await until(gone, timeout_s=10)


async def test_cancelling_frees_the_processor(platform: Platform) -> None:
    """Cancelling a job in mid-training ends its process within two seconds, and nothing comes of it."""
    user = platform.user()
    before = children()
    job = await user.start(await platform.dataset(user), model_config=ENDLESS)
    await in_training(user, job.job_id)
    assert children() - before
    assert (await user.cancel(job.job_id)).state == job_pb2.JOB_STATE_CANCELLED

    async def free() -> bool:
        return not children() - before

    await until(free, timeout_s=2)
    assert await platform.objects(user) == set()


async def test_purging_in_mid_training(platform: Platform) -> None:
    """A job that is deleted while it trains is dropped by its worker."""
    user = platform.user()
    before = children()
    job = await user.start(await platform.dataset(user), model_config=ENDLESS)
    await in_training(user, job.job_id)
    await user.cancel(job.job_id, purge=True)

    async def free() -> bool:
        return not children() - before

    await until(free, timeout_s=2)
    async with refused("JOB_NOT_FOUND"):
        await user.get(job.job_id)


async def test_what_a_job_can_fail_of(platform: Platform) -> None:
    """A changed table, a deleted dataset: each job fails with its reason."""
    user = platform.user()
    changed, deleted, fine = [await platform.dataset(user) for _ in range(3)]
    blocker = await user.start(fine, model_config=ENDLESS)
    second_blocker = await user.start(fine, model_config=ENDLESS)
    await in_training(user, blocker.job_id)
    await in_training(user, second_blocker.job_id)
    jobs = [await user.start(dataset_id) for dataset_id in (changed, deleted)]
    await platform.sources.replace(changed, b"not the table")
    platform.sources.remove(deleted)
    await user.cancel(blocker.job_id)
    await user.cancel(second_blocker.job_id)
    reasons = [b"SOURCE_CHANGED", b"DATASET_NOT_FOUND"]
    for job, reason in zip(jobs, reasons, strict=True):
        failed = await user.ended(job.job_id)
        assert failed.state == job_pb2.JOB_STATE_FAILED
        assert reason in failed.error.details[0].value
        assert failed.error.message


async def test_a_database_that_goes_away(platform: Platform) -> None:
    """Every connection is cut in mid-training: the training goes on to its end, and the next job is taken up."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job = await user.start(dataset_id, model_config={**TVAE, "epochs": 150})
    await in_training(user, job.job_id)
    async with platform.database.sessions() as session:
        cut = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role AND pid <> pg_backend_pid()"
        )
        assert len((await session.execute(cut, {"role": "generation"})).all()) > 2

    async def succeeded(job_id: str) -> bool:
        with suppress(grpc.aio.AioRpcError):  # the service finds its connections cut as well
            return (await user.get(job_id)).state == job_pb2.JOB_STATE_SUCCEEDED
        return False

    await until(lambda: succeeded(job.job_id))
    assert (await user.get(job.job_id)).attempts == 1
    after = await user.start(dataset_id)
    await until(lambda: succeeded(after.job_id))


async def in_training(user: Client, job_id: str) -> None:
    """Waits until the job has trained an epoch."""
    call = user.jobs.WatchJob(job_pb2.WatchJobRequest(job_id=job_id))
    async with asyncio.timeout(60):
        async for event in call:
            if event.epoch:
                break
    call.cancel()


def children() -> set[int]:
    """Processes that train or draw for this one."""
    launchers = [child for child in psutil.Process().children() if LAUNCHER in child.cmdline()]
    return {child.pid for launcher in launchers for child in launcher.children()}
