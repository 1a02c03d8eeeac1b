"""What hangs on a dataset, and what is left when it or a model is deleted."""

from mirage.generation.v1 import job_pb2, model_pb2
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Client, Platform
from tests.support.errors import refused


async def dependents(platform: Platform, user: Client, dataset_id: str, *, delete: bool = False) -> tuple[int, int]:
    """Jobs and models of a dataset; deleted, if wanted."""
    calls = platform.service("dataset").dependents
    owner_id = str(user.user_id)
    answer = await (
        calls.DeleteDependents(job_pb2.DeleteDependentsRequest(dataset_id=dataset_id, owner_id=owner_id))
        if delete
        else calls.ListDependents(job_pb2.ListDependentsRequest(dataset_id=dataset_id, owner_id=owner_id))
    )
    return answer.jobs, answer.models


async def test_deleting_with_all_that_hangs_on_it(platform: Platform, hand: Hand) -> None:
    """Jobs at work, waiting and done, tables and models of a dataset go; those of another stay; twice is once."""
    user = platform.user()
    doomed, kept = await platform.dataset(user), await platform.dataset(user)
    done, at_work, waiting = [(await user.start(doomed)).job_id for _ in range(3)]
    other = await user.start(kept)
    await hand.succeed(await hand.take())
    await hand.take()
    assert await dependents(platform, user, doomed) == (3, 1)
    assert await dependents(platform, user, doomed, delete=True) == (3, 1)
    assert await dependents(platform, user, doomed, delete=True) == (0, 0)
    for job_id in (done, at_work, waiting):
        async with refused("JOB_NOT_FOUND"):
            await user.get(job_id)
    assert not (await user.models.ListModels(model_pb2.ListModelsRequest())).models
    assert await platform.objects(user) == set()
    [row] = await hand.rows_waiting()
    assert await hand.claim(row) is None, "what was deleted while it waited is dropped"
    assert str((await hand.take()).job_id) == other.job_id


async def test_other_owners_are_left_alone(platform: Platform, hand: Hand) -> None:
    """Of a public dataset only the named owner's jobs go."""
    owner, guest = platform.user(), platform.user()
    dataset_id = await platform.dataset(owner, public=True)
    await owner.start(dataset_id)
    guests = await guest.start(dataset_id)
    assert await dependents(platform, owner, dataset_id, delete=True) == (1, 0)
    assert (await guest.get(guests.job_id)).state == job_pb2.JOB_STATE_QUEUED


async def test_only_services_ask(platform: Platform) -> None:
    """Neither users nor administrators ask what hangs on a dataset; ids that are none are refused."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    for caller in (user, platform.administrator()):
        async with refused("PERMISSION_DENIED"):
            await caller.dependents.ListDependents(
                job_pb2.ListDependentsRequest(dataset_id=dataset_id, owner_id=str(user.user_id))
            )
    async with refused("INVALID_REQUEST") as refusal:
        await dependents(platform, user, "nonsense")
    assert "dataset_id" in refusal.violations


async def test_deleting_a_model(platform: Platform, hand: Hand) -> None:
    """A model goes with its object; its job and the table stay, and say that there is no model any more."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    await hand.succeed(await hand.take())
    model_id = (await user.get(job.job_id)).model_id
    model = await user.models.GetModel(model_pb2.GetModelRequest(model_id=model_id))
    assert (model.job_id, model.seed, model.training_row_count) == (job.job_id, job.seed, 100)
    await user.models.DeleteModel(model_pb2.DeleteModelRequest(model_id=model_id))
    async with refused("MODEL_NOT_FOUND"):
        await user.models.DeleteModel(model_pb2.DeleteModelRequest(model_id=model_id))
    assert (await user.get(job.job_id)).model_id == ""
    assert await platform.objects(user) == {f"{user.user_id}/{job.job_id}/1/synthetic.parquet"}
    content, _ = await user.download(job.job_id)
    assert content
