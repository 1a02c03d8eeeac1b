"""Starting a job: what is filled in, what is refused, and that all that is wrong is said at once."""

import pyarrow as pa
import pytest
from grpc import StatusCode

from mirage.generation.v1 import job_pb2
from servicekit.structs import from_struct, to_struct
from services.generation import source_values
from tests.generation.service.platform import ROLES, TYPES, Platform, people, request
from tests.support.errors import refused


async def test_defaults_are_filled_in(platform: Platform) -> None:
    """A request that names only dataset and model type gives a queued job with every default in force."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job = await user.jobs.StartJob(
        job_pb2.StartJobRequest(dataset_id=dataset_id, model_config=to_struct({"model_type": "ctgan"}))
    )
    assert job.state == job_pb2.JOB_STATE_QUEUED
    assert job.owner_id == str(user.user_id)
    assert (job.dataset_id, job.dataset_version, job.engine, job.model_type) == (dataset_id, 1, "sdv", "ctgan")
    assert (job.sample_size, job.output_format, job.holdout_fraction) == (1000, "csv", 0.1)
    assert (job.primary_key, job.target_column, job.epochs) == ("person_id", "active", 100)
    assert job.name == "people ctgan"
    parameters = from_struct(job.model_config)
    assert parameters["batch_size"] <= 120, "a batch is no larger than the table"
    assert any("batch_size" in adjustment for adjustment in job.adjustments)
    assert await user.get(job.job_id) == job


async def test_what_is_given_is_kept(platform: Platform) -> None:
    """Name, seed, size, columns, roles, conditions, format and parameters are those of the request."""
    user = platform.user()
    job = await user.start(
        await platform.dataset(user),
        name="Mine",
        seed=4_294_967_295,
        sample_size=77,
        columns=["age", "city", "income"],
        primary_key="",
        target_column="city",
        conditions={"city": "Graz"},
        output_format="parquet",
        include_metadata=True,
        holdout_fraction=0.0,
        model_config={"model_type": "tvae", "epochs": 12, "embedding_dim": 16},
    )
    assert (job.name, job.seed, job.sample_size) == ("Mine", 4_294_967_295, 77)
    assert (list(job.columns), job.primary_key, job.target_column) == (["age", "city", "income"], "", "city")
    assert from_struct(job.conditions) == {"city": "Graz"}
    assert (job.output_format, job.include_metadata, job.holdout_fraction) == ("parquet", True, 0.0)
    parameters = from_struct(job.model_config)
    assert (parameters["epochs"], parameters["embedding_dim"]) == (12, 16)


async def test_seeds_are_drawn(platform: Platform) -> None:
    """Without a seed each job gets one of its own."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    seeds = {(await user.start(dataset_id)).seed for _ in range(3)}
    assert len(seeds) == 3


async def test_everything_wrong_is_said_at_once(platform: Platform) -> None:
    """Wrong fields of the request, of the model, of columns and conditions come in one answer."""
    user = platform.user()
    wrong = request(
        await platform.dataset(user),
        sample_size=0,
        output_format="doc",
        holdout_fraction=0.7,
        name="two\nlines",
        model_config={"model_type": "tvae", "epochs": 3, "momentum": 0.9},
        optimization_config={"enabled": True},
        privacy={"epsilon": 1},
        columns=["age", "agee", "age", "city"],
        primary_key="nothing",
        target_column="income",
        conditions={"age": "old", "town": "Graz", "income": 5},
    )
    async with refused("INVALID_REQUEST", StatusCode.INVALID_ARGUMENT) as refusal:
        await user.jobs.StartJob(wrong)
    assert set(refusal.violations) == {
        "sample_size",
        "output_format",
        "holdout_fraction",
        "name",
        "model_config.epochs",
        "model_config.momentum",
        "optimization_config.enabled",
        "privacy",
        "columns.1",
        "columns.2",
        "primary_key",
        "target_column",
        "conditions.age",
        "conditions.town",
        "conditions.income",
    }
    assert "1 to 100000" in refusal.violations["sample_size"]
    assert "OPTIMIZER_ADDRESS" in refusal.violations["optimization_config.enabled"]
    listed = await user.jobs.ListJobs(job_pb2.ListJobsRequest())
    assert not listed.jobs


async def test_conditions_that_nothing_meets(platform: Platform) -> None:
    """Values that the table doesn't have are refused at once, each with the reason; those that it has are taken."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    conditions = {
        "city": "Gratz",
        "age": 400,
        "joined": "1999-12-31",
        "income": None,
        "person_id": 1001,
        "active": "yes",
    }
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, conditions=conditions)
    assert refusal.violations == {
        "conditions.city": "the source doesn't have this value",
        "conditions.age": "it is outside the source's range",
        "conditions.joined": "it is outside the source's range",
        "conditions.income": "no value of it is missing",
        "conditions.person_id": "identifiers and texts are made anew and can't be fixed",
        "conditions.active": "must be a value for a column of type boolean",
    }
    met = {"city": "Graz", "age": None, "joined": "2020-06-01", "active": False}
    job = await user.start(dataset_id, conditions=met)
    assert from_struct(job.conditions) == met


async def test_conditions_on_large_columns(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a column that is too large to be read for this, its statistics tell all but which values lie in between."""
    monkeypatch.setattr(source_values, "_MOST_BYTES", 0)
    user = platform.user()
    dataset_id = await platform.dataset(user)
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, conditions={"city": "Aaa", "age": 400, "joined": "1999-12-31", "income": None})
    assert set(refusal.violations) == {"conditions.city", "conditions.age", "conditions.joined", "conditions.income"}
    await user.start(dataset_id, conditions={"city": "Grazz", "age": 40, "joined": "2020-06-01"})


async def test_a_primary_key_is_unique(platform: Platform) -> None:
    """A column with a value twice, or none, is refused as the primary key, also where the dataset has it as that."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, primary_key="city")
    assert refusal.violations["primary_key"].startswith("must be unique: 117 of 120 rows")
    twice = pa.concat_tables([people(), people()])
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(await platform.dataset(user, twice))
    assert "the dataset's, 'person_id'" in refusal.violations["primary_key"]


async def test_nothing_to_learn(platform: Platform) -> None:
    """A table, or a choice of columns, of nothing but identifiers and constants is refused at once."""
    user = platform.user()
    constant = people().set_column(1, "age", pa.array([7] * 120))
    dataset_id = await platform.dataset(user, constant)
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, columns=["person_id", "age"])
    assert "nothing to learn" in refusal.violations["columns"]
    bad = await user.jobs.ValidateJob(
        job_pb2.ValidateJobRequest(request=request(dataset_id, columns=["person_id"], engine="nobody"))
    )
    assert {violation.field for violation in bad.violations} == {"columns", "engine"}


async def test_ten_rows_and_a_batch_of_five_hundred(platform: Platform) -> None:
    """For a tiny table the batch is adjusted where that was left to us, and refused where batch and pac were set."""
    user = platform.user()
    dataset_id = await platform.dataset(user, people(10))
    job = await user.start(dataset_id, model_config={"model_type": "ctgan", "batch_size": 500})
    assert from_struct(job.model_config)["batch_size"] == 10
    assert "10 rows" in job.adjustments[0]
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, model_config={"model_type": "ctgan", "batch_size": 500, "pac": 5})
    assert "at most 10 would do with pac 5" in refusal.violations["model_config.batch_size"]


async def test_missing_fields(platform: Platform) -> None:
    """Without dataset and model type both are said to be required."""
    async with refused("INVALID_REQUEST") as refusal:
        await platform.user().jobs.StartJob(job_pb2.StartJobRequest())
    assert refusal.violations["dataset_id"] == "is required"
    assert refusal.violations["model_config.model_type"].startswith("is required: one of ctgan, tvae")


async def test_other_peoples_datasets(platform: Platform) -> None:
    """A private dataset of somebody else's, and one that isn't there, are equally unknown; a public one will do."""
    owner, stranger = platform.user(), platform.user()
    private, public = await platform.dataset(owner), await platform.dataset(owner, public=True)
    for dataset_id in (private, "0192f0c4-0000-7000-8000-000000000000", "nonsense"):
        async with refused("DATASET_NOT_FOUND", StatusCode.NOT_FOUND) as refusal:
            await stranger.start(dataset_id)
        assert refusal.metadata["dataset_id"] == dataset_id
    async with refused("INVALID_REQUEST") as refusal:
        await stranger.start(private, sample_size=-1)
    assert set(refusal.violations) == {"dataset_id", "sample_size"}
    assert (await stranger.start(public)).dataset_id == public


async def test_unknown_model_type_and_engine(platform: Platform) -> None:
    """A model type or an engine that isn't there is refused with what there is."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, model_config={"model_type": "gpt"}, engine="sdv")
    assert "tvae" in refusal.violations["model_config.model_type"]
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, model_config={"model_type": "tvae"}, engine="steam")
    assert "sdv" in refusal.violations["engine"]


async def test_validate_says_the_same_and_runs_nothing(platform: Platform) -> None:
    """Validation gives what would be in force with estimates, or all that is wrong; no job comes of it."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    good = await user.jobs.ValidateJob(
        job_pb2.ValidateJobRequest(request=request(dataset_id, model_config={"model_type": "tvae"}))
    )
    assert good.valid
    assert from_struct(good.model_config)["epochs"] == 100
    assert good.adjustments
    assert good.estimated_seconds > 0
    assert good.estimated_memory_mb > 0
    bad = await user.jobs.ValidateJob(
        job_pb2.ValidateJobRequest(request=request("nonsense", sample_size=-3, columns=["x"]))
    )
    assert not bad.valid
    assert {violation.field for violation in bad.violations} == {"dataset_id", "sample_size"}
    assert not bad.HasField("estimated_seconds")
    assert not (await user.jobs.ListJobs(job_pb2.ListJobsRequest())).jobs


async def test_configuration_tells_every_parameter(platform: Platform) -> None:
    """The configuration names model types, parameters with type, range and default, and the platform's limits."""
    configuration = await platform.user().jobs.GetConfiguration(job_pb2.GetConfigurationRequest())
    types = {model_type.name: model_type for model_type in configuration.model_types}
    assert set(types) == {"ctgan", "tvae", "gaussian_copula", "copulagan", "autoregressive"}
    parameters = {parameter.name: parameter for parameter in types["ctgan"].parameters}
    assert (parameters["epochs"].type, parameters["epochs"].minimum, parameters["epochs"].maximum) == (
        "integer",
        10,
        500,
    )
    assert parameters["epochs"].default.number_value == 100
    assert parameters["generator_dim"].type == "integers"
    assert [value.number_value for value in parameters["generator_dim"].default.list_value.values] == [256, 256]
    assert types["tvae"].recommendations[0].up_to_rows == 999
    assert (configuration.minimum_sample_size, configuration.maximum_sample_size) == (1, 100_000)
    assert configuration.maximum_concurrent_jobs == 5
    assert list(configuration.output_formats) == ["csv", "jsonl", "json", "parquet", "xlsx"]


async def test_personal_data_is_not_for_the_asking(platform: Platform) -> None:
    """A condition on a column of personal data, or predicting it, is refused by name; jobs tell what is invented."""
    user = platform.user()
    personal = {"city": ("city", "de_DE"), "person_id": ("national_id", "")}
    dataset_id = await platform.sources.add(user.user_id, people(), TYPES, ROLES, personal=personal)
    wrong = request(dataset_id, conditions={"city": "Graz"}, target_column="city")
    async with refused("INVALID_REQUEST", StatusCode.INVALID_ARGUMENT) as refusal:
        await user.jobs.StartJob(wrong)
    assert set(refusal.violations) == {"conditions.city", "target_column"}
    assert all("personal data (city)" in said for said in refusal.violations.values())
    asked = job_pb2.ValidateJobRequest(request=request(dataset_id))
    validation = await user.jobs.ValidateJob(asked)
    told = [(each.column, each.kind, each.locale) for each in validation.invented_columns]
    assert told == [("person_id", "national_id", "en_US"), ("city", "city", "de_DE")]
    job = await user.start(dataset_id)
    assert list(job.invented_columns) == list(validation.invented_columns)
    assert list((await user.get(job.job_id)).invented_columns) == list(validation.invented_columns)
