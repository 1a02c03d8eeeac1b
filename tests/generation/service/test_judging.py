"""Tables are judged: a job's, a trial's, any on request; by a real worker, and against rows that nobody has learned."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from grpc import StatusCode

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2, model_pb2, quality_pb2
from servicekit.structs import from_struct
from services.generation import worker
from services.generation.settings import WorkerSettings
from services.generation.tables.columns import ColumnSpec
from services.generation.tables.holdout import held_out
from tests.generation.service.platform import ROLES, TYPES, Client, Platform, open_platform, people, settings_for
from tests.generation.service.search import Search
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("generation-judging")]

SEED = 11
ROWS = 400
COLUMNS = tuple(ColumnSpec(name=name, type=type_, role=ROLES.get(name, "feature")) for name, type_ in TYPES.items())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(
    postgres: PostgresForTests,
    object_store: EmbeddedObjectStore,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Platform]:
    """A running service with a worker."""
    async with open_platform(postgres, object_store, tokens) as opened:
        values = settings_for(
            postgres, object_store, opened.settings.auth_address, opened.settings.dataset_address, worker_slots=2
        )
        stop = asyncio.Event()
        task = asyncio.create_task(worker.work(WorkerSettings(**values), stop, tmp_path_factory.mktemp("workspace")))
        yield opened
        stop.set()
        await task


async def quality_of(user: Client, job_id: str) -> quality_pb2.QualityReport:
    """How good a job's table is."""
    report: quality_pb2.QualityReport = await user.quality.GetQuality(quality_pb2.GetQualityRequest(job_id=job_id))
    return report


async def evaluated(user: Client, **fields: Any) -> quality_pb2.QualityReport:
    """A judgement on request."""
    report: quality_pb2.QualityReport = await user.quality.EvaluateTable(quality_pb2.EvaluateTableRequest(**fields))
    return report


def figures(report: quality_pb2.QualityReport) -> dict[str, float]:
    """The scores of a report by name."""
    return {"quality_score": report.quality_score.value} | {
        part.name: part.score.value for part in report.parts if part.HasField("score")
    }


async def test_a_job_is_judged(platform: Platform) -> None:
    """A job's table is judged before it is done; the job, its events, its document and its page tell how good it is."""
    user = platform.user()
    source = people(ROWS)
    job = await user.start(await platform.dataset(user, source), sample_size=300, seed=SEED)
    async with refused("QUALITY_NOT_READY", StatusCode.FAILED_PRECONDITION):
        await quality_of(user, job.job_id)
    events = await user.events(job.job_id)
    assert job_pb2.JOB_STATE_EVALUATING in {event.state for event in events}
    progress = [event.progress for event in events]
    assert progress == sorted(progress)
    done = await user.get(job.job_id)
    assert done.state == job_pb2.JOB_STATE_SUCCEEDED
    assert not done.quality_problem
    report = await quality_of(user, job.job_id)
    assert 0.3 < done.quality_score == report.quality_score.value == events[-1].quality_score <= 1
    assert report.quality_score.low <= report.quality_score.value <= report.quality_score.high
    assert report.quality_score.ceiling > 0.5
    assert (report.rows.training, report.rows.holdout, report.rows.synthetic) == (360, 40, 300)
    assert (report.job_id, report.target_column, report.target_chosen) == (job.job_id, "active", False)
    compared = {column for part in report.parts for each in part.metrics for d in each.details for column in d.columns}
    assert compared == set(TYPES) - {"person_id"}
    answer = await user.jobs.GetJobMetadata(job_pb2.GetJobMetadataRequest(job_id=job.job_id))
    document = from_struct(answer.metadata)
    assert document["quality"]["quality_score"]["value"] == pytest.approx(done.quality_score)
    assert document["rows"] == {"training": 360, "holdout": 40}
    assert document["timings"]["seconds"]["evaluating"] > 0
    async with refused("JOB_NOT_FOUND", StatusCode.NOT_FOUND):
        await quality_of(platform.user(), job.job_id)
    page = b""
    async for body in user.quality.GetReport(quality_pb2.GetReportRequest(job_id=job.job_id)):
        page += body.data
        assert body.content_type.startswith("text/html")
    assert page.startswith(b"<!")
    assert job.job_id in page.decode()
    await user.cancel(job.job_id, purge=True)
    async with refused("JOB_NOT_FOUND"):
        await quality_of(user, job.job_id)


async def test_nothing_is_learned_of_rows_held_out(platform: Platform) -> None:
    """Values that only rows held out have are never made, and the report knows those rows as never seen."""
    user = platform.user()
    source = people(ROWS)
    held = held_out(source, COLUMNS, 0.1, SEED)
    income = np.where(held, 1e9, source["income"].to_numpy())
    source = source.set_column(2, "income", pa.array(income))
    job = await user.start(await platform.dataset(user, source), sample_size=1000, seed=SEED)
    await user.ended(job.job_id)
    content, _ = await user.download(job.job_id, "parquet")
    made = pq.read_table(io.BytesIO(content))["income"].to_numpy()
    assert made.max() < 1e6, "what the model has learned goes no further than the rows it was trained on"
    report = await quality_of(user, job.job_id)
    assert report.rows.holdout == held.sum() == 40
    [similarity] = [part for part in report.parts if part.name == "statistical_similarity"]
    shapes = {
        detail.columns[0]: detail.figure
        for metric in similarity.metrics
        if metric.name == "ks_complement"
        for detail in metric.details
    }
    assert shapes["income"].ceiling < 0.2 < shapes["age"].ceiling, "the rows never seen are those with the other values"


async def test_a_table_that_cannot_be_judged_is_kept(platform: Platform) -> None:
    """Where too few real rows have what conditions fix, the job keeps its table and says why there is no score."""
    user = platform.user()
    job = await user.start(await platform.dataset(user), conditions={"city": "Vienna"}, sample_size=20)
    events = await user.events(job.job_id)
    done = await user.get(job.job_id)
    assert done.state == job_pb2.JOB_STATE_SUCCEEDED
    assert not done.HasField("quality_score")
    assert "at least 50" in done.quality_problem
    assert done.quality_problem in events[-1].message
    assert len(pq.read_table(io.BytesIO((await user.download(job.job_id, "parquet"))[0]))) == 20
    async with refused("QUALITY_NOT_MEASURED", StatusCode.FAILED_PRECONDITION) as refusal:
        await quality_of(user, job.job_id)
    assert "at least 50" in refusal.message


async def test_conditions_and_columns(platform: Platform) -> None:
    """Rows made under a condition are compared with real rows that meet it, by the other columns; a note says so."""
    user = platform.user()
    source = people(ROWS)
    dataset_id = await platform.dataset(user, source)
    job = await user.start(
        dataset_id, conditions={"city": "Vienna"}, columns=["city", "age", "income"], sample_size=100, seed=SEED
    )
    await user.ended(job.job_id)
    report = await quality_of(user, job.job_id)
    viennese = source["city"].to_pylist().count("Vienna")
    assert report.rows.training + report.rows.holdout == viennese
    assert "'city'" in report.notes[0]
    compared = {column for part in report.parts for each in part.metrics for d in each.details for column in d.columns}
    assert compared == {"age", "income"}
    other = await evaluated(user, dataset_id=await platform.dataset(user, people(ROWS, seed=4)), job_id=job.job_id)
    assert "conditions on city, from another table" in other.notes[0]
    assert other.rows.training == ROWS


async def test_a_trial_from_order_to_score(platform: Platform) -> None:
    """A trial is trained and judged by the worker like a job; it tells its quality, keeps its model and no rows."""
    user = platform.user()
    search = Search(platform, user, await platform.dataset(user, people(ROWS)))
    await search.start(seed=SEED, sample_size=300, sensitive=("city",))
    events = await search.events()
    assert events[-1].state == job_pb2.JOB_STATE_SUCCEEDED
    trial = await search.get()
    assert 0.3 < trial.quality.quality_score.value == trial.job.quality_score == events[-1].quality_score
    assert list(trial.quality.sensitive_columns) == ["city"]
    assert await platform.objects(user) == {f"{user.user_id}/{trial.job.job_id}/1/model.zip"}
    await search.keep()
    model = await user.models.GetModel(model_pb2.GetModelRequest(model_id=trial.job.model_id))
    assert (model.seed, model.training_row_count) == (SEED, 360)
    assert await search.delete() == 0


async def test_judging_on_request(platform: Platform) -> None:
    """Any table is judged against any version of a dataset: a good one is better than a bad one, twice is the same."""
    user = platform.user()
    real = await platform.dataset(user, people(ROWS, seed=1))
    good = await platform.dataset(user, people(300, seed=2))
    unseen = await platform.dataset(user, people(80, seed=3))
    bad_table = people(300, seed=4).set_column(1, "age", pa.array([17] * 300, pa.int64()))
    bad_table = bad_table.set_column(3, "city", pa.array(["Linz"] * 300))
    bad = await platform.dataset(user, bad_table)
    report = await evaluated(user, dataset_id=real, table_dataset_id=good, holdout_dataset_id=unseen, seed=3)
    assert (report.rows.training, report.rows.holdout, report.rows.synthetic, report.job_id) == (400, 80, 300, "")
    assert report.quality_score.HasField("ceiling")
    again = await evaluated(user, dataset_id=real, table_dataset_id=good, holdout_dataset_id=unseen, seed=3)
    assert figures(again) == figures(report)
    worse = await evaluated(user, dataset_id=real, table_dataset_id=bad)
    assert not worse.quality_score.HasField("ceiling"), "nothing stands in for rows never seen"
    assert worse.quality_score.value < report.quality_score.value - 0.05
    narrow = await evaluated(user, dataset_id=real, table_dataset_id=good, columns=["age", "city", "active"])
    compared = {column for part in narrow.parts for each in part.metrics for d in each.details for column in d.columns}
    assert compared == {"age", "city", "active"}


async def test_judging_a_jobs_table_again(platform: Platform) -> None:
    """A job's table on request is judged against the same rows as in its own report, the rows held out among them."""
    user = platform.user()
    dataset_id = await platform.dataset(user, people(ROWS))
    job = await user.start(dataset_id, sample_size=200, seed=SEED)
    await user.ended(job.job_id)
    own = await quality_of(user, job.job_id)
    again = await evaluated(user, dataset_id=dataset_id, job_id=job.job_id, seed=SEED)
    assert figures(again) == figures(own)
    assert again.rows == own.rows


async def test_a_wrong_request(platform: Platform) -> None:
    """All that is wrong with a request to judge a table is named at once; what is somebody else's isn't there."""
    user, stranger = platform.user(), platform.user()
    real, table = await platform.dataset(user), await platform.dataset(user)
    async with refused("INVALID_REQUEST") as refusal:
        await evaluated(
            user,
            dataset_id=real,
            holdout_dataset_id=real,
            target_column="person_id",
            sensitive_columns=["nothing"],
            columns=["age", "age", "none"],
        )
    assert set(refusal.violations) == {
        "table_dataset_id",
        "holdout_dataset_id",
        "target_column",
        "sensitive_columns.0",
        "columns.1",
        "columns.2",
    }
    async with refused("INVALID_REQUEST") as refusal:
        await evaluated(user)
    assert set(refusal.violations) == {"dataset_id", "table_dataset_id"}
    for fields in (
        {"dataset_id": real, "table_dataset_id": table},
        {"dataset_id": "nonsense", "table_dataset_id": table},
    ):
        caller = stranger if fields["dataset_id"] == real else user
        async with refused("INVALID_REQUEST" if caller is stranger else "DATASET_NOT_FOUND"):
            await evaluated(caller, **fields)
    theirs = await platform.dataset(stranger)
    async with refused("DATASET_NOT_FOUND", StatusCode.NOT_FOUND):
        await evaluated(stranger, dataset_id=theirs, table_dataset_id=table)
    job = await user.start(real, sample_size=10)
    async with refused("JOB_NOT_FOUND", StatusCode.NOT_FOUND):
        await evaluated(stranger, dataset_id=theirs, job_id=job.job_id)
    other = await platform.sources.add(user.user_id, pa.table({"x": [1, 2, 3]}), {"x": "integer"})
    async with refused("INVALID_REQUEST") as refusal:
        await evaluated(user, dataset_id=real, table_dataset_id=other)
    assert set(refusal.violations) == {"table_dataset_id"}
    await user.ended(job.job_id)
