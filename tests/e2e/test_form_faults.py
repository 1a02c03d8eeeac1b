"""A request with faults of every kind is told all of them in one answer, and never carried out."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.contracts import read_descriptor_set, routed_rpcs
from mirage import Client
from tests.e2e.conftest import PASSWORD, Furnished, end_what_runs
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

# A request for each RPC that tells faults of form, with nothing wrong in it.
RIGHT: Mapping[str, dict[str, Any]] = {
    "JobService.StartJob": {
        "dataset_id": "{dataset_id}",
        "sample_size": 5,
        "model_config": {"model_type": "gaussian_copula"},
    },
    "JobService.ValidateJob": {"dataset_id": "{dataset_id}", "model_config": {"model_type": "gaussian_copula"}},
    "QualityService.EvaluateTable": {"dataset_id": "{dataset_id}", "job_id": "{job_id}"},
    "ModelService.SampleModel": {"n": 3},
    "StudyService.StartStudy": {"dataset_id": "{dataset_id}", "model_type": "tvae", "n_trials": 1},
    "DatasetService.UpdateDataset": {
        "name": "changed",
        "columns": [{"name": "plane_year", "type": "categorical"}],
    },
    "SessionService.Register": {"email": "new@example.org", "password": PASSWORD, "display_name": "New"},
    "SessionService.ChangePassword": {"old_password": PASSWORD, "new_password": "another horse battery"},
    "AccountService.UpdateMe": {"display_name": "Changed"},
    "AccountService.UpdateProfile": {"organisation": "Changed"},
    "ApiKeyService.CreateApiKey": {"name": "changed", "scopes": ["account:read"]},
}
TELLING = [rpc for rpc in routed_rpcs(read_descriptor_set()) if rpc.tells_form_faults]


@pytest.fixture
def http(platform: PlatformForTests, furnished: Furnished) -> Iterator[httpx.Client]:
    """Somebody with one of everything, over REST."""
    with httpx.Client(base_url=platform.url, timeout=60) as client:
        answer = client.post("/auth/login", json={"email": furnished.email, "password": PASSWORD})
        client.headers["authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        yield client


def _told(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {each["field"]: each["description"] for each in answer.json()["error"]["details"][1]["field_violations"]}


def test_a_job(http: httpx.Client, furnished: Furnished) -> None:
    """An unknown field, a wrong type, a number out of range, a parameter of the model and a column: one answer."""
    wrong = {
        "dataset_id": furnished.ids["dataset_id"],
        "sampel_size": 5,
        "seed": "x",
        "sample_size": 0,
        "target_column": "nowhere",
        "columns": ["origin", "nowhere"],
        "model_config": {"model_type": "ctgan", "epochs": -1, "batchsize": 10},
        "output_format": "docx",
    }
    told = _told(http.post("/generation/start", json=wrong))
    assert set(told) >= {"sampel_size", "seed", "sample_size", "target_column", "columns.1", "output_format"}
    assert {"model_config.epochs", "model_config.batchsize"} <= set(told)
    assert told == _told(http.post("/generation-v2/validate", json=wrong))
    version = {"dataset_version": 99, "sample_size": 0, "model_config": {"model_type": "ctgan"}}
    asked = {"dataset_id": furnished.ids["dataset_id"], **version}
    assert set(_told(http.post("/generation/start", json=asked))) == {"dataset_version", "sample_size"}
    assert {"nonsense", "dataset_id"} < set(
        _told(http.post("/generation/start", json={"dataset_id": "7", "nonsense": 1}))
    )


def test_others(http: httpx.Client, furnished: Furnished) -> None:
    """A search, a sample, a judgement, a dataset and an account."""
    ids = furnished.ids
    study = {
        "dataset_id": ids["dataset_id"],
        "model_type": "tvae",
        "trials": 3,
        "search_space": {"epoch": [1, 2]},
        "n_trials": 0,
        "target_column": "nowhere",
    }
    told = _told(http.post("/optimization/start", json=study))
    assert set(told) == {"trials", "search_space.epoch", "n_trials", "target_column"}
    sample = {"n": 3, "sead": 1, "conditions": {"origin": "nowhere", "colour": "red"}}
    told = _told(http.post(f"/generation/models/{ids['model_id']}/sample", json=sample))
    assert set(told) >= {"sead", "conditions.colour"}
    judged = {"dataset_id": ids["dataset_id"], "job_id": ids["job_id"], "seeds": 1, "target_column": "nowhere"}
    assert set(_told(http.post("/generation/evaluate", json=judged))) == {"seeds", "target_column"}
    columns = [{"name": "origin", "rolle": "target"}, {"name": "nowhere"}]
    told = _told(http.put(f"/datasets/{ids['dataset_id']}", json={"columns": columns}))
    assert set(told) == {"columns.0.rolle", "columns.1.name"}
    account = {"email": "a@example.org", "password": "password12", "display_name": "A", "nmae": "A"}
    assert set(_told(http.post("/auth/register", json=account))) == {"nmae", "password"}


@pytest.mark.parametrize("rpc", TELLING, ids=lambda rpc: rpc.title)
def test_nothing_is_carried_out(platform: PlatformForTests, http: httpx.Client, furnished: Furnished, rpc: Any) -> None:
    """A request in which nothing else is wrong is refused for its unknown field, and leaves everything as it was."""
    ids = {**furnished.ids, "dataset_id": furnished.ids["dataset_id"]}
    right = {name: value.format(**ids) if isinstance(value, str) else value for name, value in RIGHT[rpc.title].items()}
    with Client(platform.url).login(furnished.email, PASSWORD) as client:
        before = _everything(client, http)
        for binding in rpc.bindings:
            url = binding.template.format(**ids)
            told = _told(http.request(binding.verb, url, json={**right, "nonsense": 1}))
            assert set(told) == {"nonsense"}
        assert _everything(client, http) == before
        end_what_runs(client)


def _everything(client: Client, http: httpx.Client) -> dict[str, Any]:
    """What a user has, as far as these requests would change it."""
    return {
        "jobs": [job.id for job in client.jobs.list()],
        "studies": [study.id for study in client.studies.list()],
        "datasets": [(each.id, each.name, each.version) for each in client.datasets.list()],
        **{
            path: http.get(path).json()["data"]
            for path in ("/auth/me", "/users/profile", "/auth/api-keys", "/generation/models")
        },
    }
