"""A search's side of trials, as tests use it."""

from typing import Any, NamedTuple
from uuid import uuid4

from mirage.generation.v1 import job_pb2, trial_pb2
from servicekit.structs import to_struct
from tests.generation.service.platform import Client, Platform, request


class Scored(NamedTuple):
    """What is to be judged while a trial trains."""

    epochs: tuple[int, ...] = ()
    metrics: tuple[str, ...] = ()


NOTHING = Scored()


class Search:
    """A search's side of trials."""

    def __init__(self, platform: Platform, user: Client, dataset_id: str) -> None:
        self.study_id = str(uuid4())
        self._calls = platform.service("optimizer").trials
        self._user = user
        self._dataset_id = dataset_id

    async def start(
        self, number: int = 1, sensitive: tuple[str, ...] = (), scored: Scored = NOTHING, **fields: Any
    ) -> trial_pb2.Trial:
        """Orders a trial."""
        order = trial_pb2.StartTrialRequest(
            study_id=self.study_id,
            number=number,
            owner_id=str(self._user.user_id),
            job=request(self._dataset_id, **fields),
            sensitive_columns=sensitive,
            score_epochs=scored.epochs,
            score_metrics=scored.metrics,
        )
        trial: trial_pb2.Trial = await self._calls.StartTrial(order)
        return trial

    async def get(self, number: int = 1) -> trial_pb2.Trial:
        """A trial as it stands."""
        trial: trial_pb2.Trial = await self._calls.GetTrial(
            trial_pb2.GetTrialRequest(study_id=self.study_id, number=number)
        )
        return trial

    async def cancel(self, number: int = 1) -> trial_pb2.Trial:
        """Calls a trial off."""
        trial: trial_pb2.Trial = await self._calls.CancelTrial(
            trial_pb2.CancelTrialRequest(study_id=self.study_id, number=number)
        )
        return trial

    async def keep(self, number: int = 1) -> trial_pb2.Trial:
        """Keeps a trial's model."""
        trial: trial_pb2.Trial = await self._calls.KeepTrialModel(
            trial_pb2.KeepTrialModelRequest(study_id=self.study_id, number=number)
        )
        return trial

    async def delete(self) -> int:
        """Deletes the trials."""
        answer = await self._calls.DeleteTrials(trial_pb2.DeleteTrialsRequest(study_id=self.study_id))
        deleted: int = answer.deleted
        return deleted

    async def events(self, number: int = 1) -> list[job_pb2.JobEvent]:
        """Every event of a trial until the stream closes, heartbeats aside."""
        watch = trial_pb2.WatchTrialRequest(study_id=self.study_id, number=number)
        return [event async for event in self._calls.WatchTrial(watch) if event.kind != "heartbeat"]

    async def describe(self, **fields: Any) -> trial_pb2.TableDescription:
        """What the search has to know of the table."""
        given = {"model_config": to_struct({"model_type": "tvae"}), "dataset_id": self._dataset_id, **fields}
        description: trial_pb2.TableDescription = await self._calls.DescribeTable(
            trial_pb2.DescribeTableRequest(owner_id=str(self._user.user_id), **given)
        )
        return description
