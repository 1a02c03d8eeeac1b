"""Studies that other services order, and what the dataset service asks before it deletes a dataset."""

import asyncio
from uuid import uuid4

import pytest

from mirage.optimizer.v1 import study_pb2
from tests.optimizer.service.platform import Platform, request
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_job_orders_a_study_once(platform: Platform) -> None:
    """Ordering it twice, also at once, is ordering it once; its events and its end are told to who ordered it."""
    user, service, job_id = platform.user(), platform.service("generation"), str(uuid4())
    wanted = request(platform.peer.add_dataset(user.user_id), n_trials=2)
    order = study_pb2.OrderStudyRequest(job_id=job_id, owner_id=str(user.user_id), study=wanted)
    first, second = await asyncio.gather(service.orders.OrderStudy(order), service.orders.OrderStudy(order))
    assert first.study_id == second.study_id
    watch = study_pb2.WatchOrderedStudyRequest(study_id=first.study_id)
    events = [event async for event in service.orders.WatchOrderedStudy(watch) if event.kind != "heartbeat"]
    assert events[-1].state == study_pb2.STUDY_STATE_SUCCEEDED
    study = await user.get(first.study_id)
    assert (study.job_id, study.owner_id, study.trials_ended) == (job_id, str(user.user_id), 2)


async def test_what_a_job_asks_for_is_checked(platform: Platform) -> None:
    """Wrong fields are named as they are in a job."""
    user, service = platform.user(), platform.service("generation")
    dataset = platform.peer.add_dataset(user.user_id)
    check = study_pb2.CheckStudyRequest(owner_id=str(user.user_id), study=request(dataset, n_trials=7))
    assert (await service.orders.CheckStudy(check)).n_trials == 7
    check.study.CopyFrom(
        request(
            dataset,
            optimization_method="guessing",
            optimization_metric="beauty",
            n_trials=0,
            search_space={"nothing": [1, 2]},
            model_config={"depth": 3},
        )
    )
    async with refused("INVALID_REQUEST") as refusal:
        await service.orders.CheckStudy(check)
    assert set(refusal.violations) >= {
        "optimization_config.method",
        "optimization_config.metric",
        "optimization_config.n_trials",
        "model_config.depth",
    }


async def test_an_ordered_study_is_stopped(platform: Platform) -> None:
    """The service that ordered a study stops it; twice is once."""
    user, service = platform.user(), platform.service("generation")
    platform.peer.held = lambda number: number == 2
    wanted = request(platform.peer.add_dataset(user.user_id))
    order = study_pb2.OrderStudyRequest(job_id=str(uuid4()), owner_id=str(user.user_id), study=wanted)
    study = await service.orders.OrderStudy(order)
    for named in ({"job_id": order.job_id}, {"study_id": study.study_id}):
        stopped = await service.orders.StopOrderedStudy(study_pb2.StopOrderedStudyRequest(**named))
        assert (stopped.study_id, stopped.state) == (study.study_id, study_pb2.STUDY_STATE_STOPPED)
    async with refused("STUDY_NOT_FOUND"):
        await service.orders.StopOrderedStudy(study_pb2.StopOrderedStudyRequest(job_id=str(uuid4())))


async def test_a_datasets_studies_are_deleted(platform: Platform) -> None:
    """Studies of a dataset are counted, then stopped and deleted with their trials; who watches one is told."""
    user, service = platform.user(), platform.service("dataset")
    platform.peer.held = lambda number: number == 2
    dataset = platform.peer.add_dataset(user.user_id)
    study = await user.start(dataset)
    other = await user.start(platform.peer.add_dataset(user.user_id), n_trials=1)
    names = {"dataset_id": dataset, "owner_id": str(user.user_id)}
    watching = asyncio.create_task(user.events(study.study_id))
    hanging = await service.dependents.ListDependentStudies(study_pb2.ListDependentStudiesRequest(**names))
    assert hanging.studies == 1
    for expected in (1, 0):
        gone = await service.dependents.DeleteDependentStudies(study_pb2.DeleteDependentStudiesRequest(**names))
        assert gone.studies == expected
    assert (await watching)[-1].state == study_pb2.STUDY_STATE_STOPPED
    assert not platform.peer.of(study.study_id)
    async with refused("STUDY_NOT_FOUND"):
        await user.get(study.study_id)
    assert (await user.ended(other.study_id)).trials_ended == 1
