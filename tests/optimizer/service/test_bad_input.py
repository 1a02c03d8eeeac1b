"""Requests that are wrong: everything that is, at once, and in words that help."""

from typing import Any

import grpc
import pytest

from mirage.optimizer.v1 import study_pb2
from servicekit.errors import ServiceError
from services.optimizer.studies import MOST_STUDIES_AT_WORK
from tests.optimizer.service.platform import Platform, request
from tests.support.errors import refused

LARGE = {name: {"choices": list(range(100, 200))} for name in ("epochs", "batch_size")}


class _NoVersion(ServiceError):
    """As the generation service passes it on."""

    code, reason = grpc.StatusCode.NOT_FOUND, "DATASET_VERSION_NOT_FOUND"


pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_everything_wrong_at_once(platform: Platform) -> None:
    """Wrong fields of the study, the model, the space, the metric and the caps are named together."""
    user = platform.user()
    async with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await user.start(
            platform.peer.add_dataset(user.user_id),
            optimization_method="guessing",
            acquisition_function="UCB",
            n_trials=10_000,
            parallel_trials=99,
            patience=0,
            timeout_seconds=-1.0,
            holdout_fraction=0.9,
            optimization_metric="beauty",
            search_space={"epochs": [200, 50], "nothing": [1, 2], "batch_size": ["a", "b"]},
            caps={"privacy.membership_auc": {"max": "low"}},
        )
    assert set(refusal.violations) >= {
        *("optimization_method", "acquisition_function", "n_trials", "parallel_trials", "patience"),
        *("timeout_seconds", "holdout_fraction", "optimization_metric", "caps.privacy.membership_auc"),
        *("search_space.epochs", "search_space.nothing", "search_space.batch_size"),
    }
    assert refusal.violations["n_trials"] == "must be a whole number from 1 to 100"


async def test_the_space_is_judged_beside_a_refused_model(platform: Platform) -> None:
    """What the generation service refuses doesn't hide what is wrong with the space, nor with what else is searched."""
    user = platform.user()
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(
            platform.peer.add_dataset(user.user_id),
            model_config={"depth": 3},
            optimization_metric="beauty",
            search_space={"epochs": [200, 50], "nothing": [1, 2]},
        )
    assert set(refusal.violations) == {
        *("model_config.depth", "optimization_metric", "search_space.epochs", "search_space.nothing"),
    }


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"n_trials": 0}, "n_trials", "from 1 to 100"),
        ({"optimization_method": "grid", "search_space": LARGE}, "search_space", "10,000 points (100 × 100)"),
        ({"search_space": {"epochs": {"choices": [50]}}}, "search_space", "only one point"),
        ({"optimization_metric": "ml_efficacy"}, "optimization_metric", "no column to predict"),
        ({"model_type": "gan9000"}, "model_type", "no such model type"),
        ({"model_type": ""}, "model_type", "is required"),
        ({"model_config": {"depth": 3}}, "model_config.depth", "No such parameter"),
        ({"objectives": ["quality_score", "quality_score"]}, "objectives", "twice"),
        ({"caps": {"privacy": {"min": 2}}}, "caps.privacy", "privacy is at most 1: no trial could have 2"),
        ({"caps": {"privacy.new_rows": {"max": -0.5}}}, "caps.privacy.new_rows", "is at least 0"),
        ({"model_config": {"epochs": 20}}, "search_space.epochs", "model_config.epochs fixes"),
        ({"model_config": {"epochs": 20}}, "model_config.epochs", "leave one of them out"),
    ],
)
async def test_what_is_wrong_is_told(platform: Platform, fields: dict[str, Any], field: str, words: str) -> None:
    """Each wrong field is named, with what is wrong of it."""
    user = platform.user()
    platform.peer.unmeasurable = {"ml_efficacy": "There is no column to predict."}
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(platform.peer.add_dataset(user.user_id), **fields)
    assert words in refusal.violations[field]


async def test_a_version_that_there_is_not(platform: Platform) -> None:
    """Where something else is wrong too, a version that the dataset doesn't have is told of the version."""
    user = platform.user()
    platform.peer.trips = {"DescribeTable": [_NoVersion("There is no version 9.")]}
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(platform.peer.add_dataset(user.user_id), dataset_version=9, n_trials=0, search_space={"no": 1})
    assert set(refusal.violations) == {"dataset_version", "n_trials", "search_space.no"}


async def test_a_part_that_cannot_be_measured(platform: Platform) -> None:
    """The quality score without the part that the table can't tell is sought, and the study says so."""
    user = platform.user()
    platform.peer.unmeasurable = {"ml_efficacy": "There is no column to predict."}
    study = await user.start(platform.peer.add_dataset(user.user_id))
    [note] = study.notes
    assert "ml_efficacy is left out" in note
    assert "There is no column to predict." in note


async def test_what_is_somebody_elses(platform: Platform) -> None:
    """Somebody else's dataset and study are unknown, whatever is asked of them."""
    owner, other = platform.user(), platform.user()
    dataset = platform.peer.add_dataset(owner.user_id)
    study = await owner.start(dataset)
    async with refused("DATASET_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        await other.start(dataset)
    for call in (other.get, other.stop, other.trials, other.best, other.events):
        async with refused("STUDY_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
            await call(study.study_id)
    assert not (await other.studies.ListStudies(study_pb2.ListStudiesRequest())).studies


async def test_the_same_key_starts_one_study(platform: Platform) -> None:
    """The same request with the same key is the same study; another request with it is refused."""
    user = platform.user()
    asked = request(platform.peer.add_dataset(user.user_id))
    key = (("idempotency-key", "once"),)
    first = await user.studies.StartStudy(asked, metadata=key)
    assert (await user.studies.StartStudy(asked, metadata=key)).study_id == first.study_id
    asked.n_trials = 5
    async with refused("IDEMPOTENCY_KEY_REUSED"):
        await user.studies.StartStudy(asked, metadata=key)


async def test_too_many_studies_at_once(platform: Platform) -> None:
    """One user has so many studies at work and no more; one that has ended makes room."""
    user = platform.user()
    platform.peer.held = lambda _number: True
    dataset = platform.peer.add_dataset(user.user_id)
    started = [await user.start(dataset, n_trials=1) for _ in range(MOST_STUDIES_AT_WORK)]
    async with refused("TOO_MANY_STUDIES", grpc.StatusCode.RESOURCE_EXHAUSTED):
        await user.start(dataset, n_trials=1)
    await user.stop(started[0].study_id)
    await user.start(dataset, n_trials=1)
