"""The generation service as the optimizer calls it, small and by hand but honest: a real server that runs no training.

What a trial scores is a function of its parameters, so a search over it can be followed; what happens to trials on
their way is in the hands of the test.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from google.protobuf.struct_pb2 import Value
from google.rpc import status_pb2
from grpc import StatusCode

from mirage.generation.v1 import job_pb2, quality_pb2, trial_pb2, trial_pb2_grpc
from servicekit.errors import InvalidRequest, ServiceError, Violation
from servicekit.failures import FailureColumns, failure_to_proto
from servicekit.identity import caller
from servicekit.ids import new_id
from servicekit.server import Application
from servicekit.structs import from_struct
from servicekit.timestamps import to_timestamp, utc_now
from tests.support.auth_peer import serving_peer
from tests.support.tokens import Tokens

EPOCHS = 3
ROWS = 1000

Surface = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""What a trial scores, by metric, for its parameters."""


def hill(parameters: Mapping[str, Any]) -> dict[str, float]:
    """A smooth hill with its top at 120 epochs and a batch of 300."""
    epochs, batch = float(parameters.get("epochs", 100)), float(parameters.get("batch_size", 500))
    height = 1 - ((epochs - 120) / 200) ** 2 - ((batch - 300) / 1000) ** 2
    return {"quality_score": height, "privacy": 1 - height / 2, "privacy.membership_auc": 0.5 + height / 10}


class DatasetNotFound(ServiceError):
    """As the generation service passes it on."""

    code, reason = StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"

    def __init__(self, dataset_id: str) -> None:
        super().__init__(f"Dataset {dataset_id} does not exist.", dataset_id=dataset_id)


class TrialNotFound(ServiceError):
    """As the generation service says it."""

    code, reason = StatusCode.NOT_FOUND, "TRIAL_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no such trial.")


class _Failure(FailureColumns):
    def __init__(self, reason: str) -> None:
        self.error_code, self.error_reason, self.error_message = "FAILED_PRECONDITION", reason, "It didn't work."


@dataclass
class RunTrial:
    """A trial that was ordered."""

    request: trial_pb2.StartTrialRequest
    job: job_pb2.Job
    parameters: dict[str, Any]
    events: list[job_pb2.JobEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    work: "asyncio.Task[None] | None" = None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.job.state in (
            job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED,
        )  # fmt: skip

    def move(
        self, state: job_pb2.JobState.ValueType, epoch: int = 0, scores: Mapping[str, float] | None = None
    ) -> None:
        """Takes it to a state, and tells."""
        self.job.state, self.job.epoch, self.job.epochs = state, epoch, EPOCHS
        self.job.update_time.CopyFrom(to_timestamp(utc_now()))
        event = job_pb2.JobEvent(
            sequence=len(self.events) + 1,
            resume_token=str(len(self.events) + 1),
            kind="progress" if epoch else "state",
            state=state,
            event_time=self.job.update_time,
            epoch=epoch,
            epochs=EPOCHS,
            losses={"generator": 1.0 / (epoch + 1)},
            scores=scores or {},
        )
        self.events.append(event)
        self.changed.set()
        self.changed = asyncio.Event()


class TrialPeer(trial_pb2_grpc.TrialServiceServicer):
    """Runs trials at once, unless they are held, and remembers what it was asked."""

    def __init__(self) -> None:
        self.datasets: dict[str, str] = {}  # owner by dataset
        self.trials: dict[tuple[str, int], RunTrial] = {}
        self.behave()

    def behave(self) -> None:
        """Does as it should from here on, and forgets what it was asked."""
        self.surface: Surface = hill
        self.fail: Callable[[int], str] = lambda _number: ""  # why a trial fails, empty if it doesn't
        self.held: Callable[[int], bool] = lambda _number: False
        self.released = asyncio.Event()
        self.unmeasurable: dict[str, str] = {}
        self.scores_while_training = False
        self.starts: list[tuple[str, int]] = []
        self.cancelled: list[int] = []
        self.kept: list[tuple[str, int]] = []
        self.deleted: list[str] = []
        self.trips: dict[str, list[Exception]] = {}  # what the next calls of a method raise

    def add_dataset(self, owner_id: object) -> str:
        """A dataset of somebody's."""
        dataset_id = str(new_id())
        self.datasets[dataset_id] = str(owner_id)
        return dataset_id

    def of(self, study_id: str) -> dict[int, RunTrial]:
        """The trials of a study that there are, by number."""
        return {number: trial for (study, number), trial in self.trials.items() if study == study_id}

    async def DescribeTable(self, request: trial_pb2.DescribeTableRequest, context: Any) -> trial_pb2.TableDescription:
        """A table of a thousand rows, for a model with three parameters."""
        assert caller().subject == "optimizer"
        self._trip("DescribeTable")
        if self.datasets.get(request.dataset_id) != request.owner_id:
            raise DatasetNotFound(request.dataset_id)
        config = from_struct(request.model_config)
        wrong = [Violation(f"model_config.{name}", "No such parameter") for name in config if name not in _KNOWN]
        if config.get("model_type") != "ctgan":
            wrong.append(Violation("model_config.model_type", "There is no such model type; choose one of ctgan"))
        if wrong:
            raise InvalidRequest(wrong)
        return trial_pb2.TableDescription(
            dataset_version=1,
            dataset_name="people",
            training_rows=ROWS * 0.9,
            holdout_rows=ROWS * 0.1,
            engine="sdv",
            model_type=job_pb2.ModelType(
                name="ctgan",
                parameters=[
                    job_pb2.Parameter(
                        name="epochs", type="integer", default=Value(number_value=100), minimum=10, maximum=500
                    ),
                    job_pb2.Parameter(name="batch_size", type="integer", default=Value(number_value=500), minimum=2),
                    job_pb2.Parameter(
                        name="learning_rate", type="number", default=Value(number_value=2e-4), minimum=1e-6, maximum=1
                    ),
                ],
            ),
            unmeasurable=self.unmeasurable,
            scores_while_training=self.scores_while_training,
        )

    async def StartTrial(self, request: trial_pb2.StartTrialRequest, context: Any) -> trial_pb2.Trial:
        """Begins a trial, or finds it."""
        self._trip("StartTrial")
        key = (request.study_id, request.number)
        self.starts.append(key)
        if key not in self.trials:
            parameters = from_struct(request.job.model_config)
            job = job_pb2.Job(job_id=str(new_id()), state=job_pb2.JOB_STATE_QUEUED)
            trial = self.trials[key] = RunTrial(request, job, parameters)
            trial.work = asyncio.create_task(self._work(trial))
        return self._proto(key)

    async def GetTrial(self, request: trial_pb2.GetTrialRequest, context: Any) -> trial_pb2.Trial:
        """A trial as it stands."""
        return self._proto(self._key(request))

    async def WatchTrial(self, request: trial_pb2.WatchTrialRequest, context: Any) -> AsyncIterator[job_pb2.JobEvent]:
        """A trial's events, to its last."""
        self._trip("WatchTrial")
        assert caller().subject == "optimizer"
        trial = self.trials[self._key(request)]
        after = int(request.resume_token or 0)
        while True:
            changed = trial.changed
            for event in trial.events[after:]:
                after += 1
                yield event
            if trial.ended:
                return
            await changed.wait()

    async def CancelTrial(self, request: trial_pb2.CancelTrialRequest, context: Any) -> trial_pb2.Trial:
        """Calls a trial off."""
        self._trip("CancelTrial")
        key = self._key(request)
        self.call_off(self.trials[key])
        return self._proto(key)

    async def KeepTrialModel(self, request: trial_pb2.KeepTrialModelRequest, context: Any) -> trial_pb2.Trial:
        """Keeps a trial's model."""
        self._trip("KeepTrialModel")
        key = self._key(request)
        self.kept.append(key)
        self.trials[key].job.model_id = self.trials[key].job.model_id or str(new_id())
        return self._proto(key)

    async def DeleteTrials(
        self, request: trial_pb2.DeleteTrialsRequest, context: Any
    ) -> trial_pb2.DeleteTrialsResponse:
        """Forgets a study's trials but the one whose model is kept."""
        self._trip("DeleteTrials")
        self.deleted.append(request.study_id)
        doomed = [key for key in self.trials if key[0] == request.study_id and key not in self.kept]
        for key in doomed:
            self.call_off(self.trials.pop(key))
        return trial_pb2.DeleteTrialsResponse(deleted=len(doomed))

    def close(self) -> None:
        """Ends all work."""
        for trial in self.trials.values():
            if trial.work:
                trial.work.cancel()

    async def _work(self, trial: RunTrial) -> None:
        number = trial.request.number
        trial.job.attempts += 1
        trial.move(job_pb2.JOB_STATE_PREPARING)
        for epoch in range(1, EPOCHS + 1):
            trial.move(job_pb2.JOB_STATE_TRAINING, epoch)
        if self.scores_while_training:
            for epoch in trial.request.score_epochs:
                trial.move(job_pb2.JOB_STATE_TRAINING, epoch, self.surface(trial.parameters))
        if self.held(number):
            await self.released.wait()
        if reason := self.fail(number):
            trial.job.error.CopyFrom(failure_to_proto(_Failure(reason)) or status_pb2.Status())
            trial.move(job_pb2.JOB_STATE_FAILED, EPOCHS)
        else:
            trial.move(job_pb2.JOB_STATE_SUCCEEDED, EPOCHS)

    def call_off(self, trial: RunTrial) -> None:
        """Calls a trial off, whoever wants it."""
        if not trial.ended:
            self.cancelled.append(trial.request.number)
            trial.move(job_pb2.JOB_STATE_CANCELLED)
        if trial.work:
            trial.work.cancel()

    def _trip(self, method: str) -> None:
        if waiting := self.trips.get(method):
            raise waiting.pop(0)

    def _key(self, request: Any) -> tuple[str, int]:
        key = (request.study_id, request.number)
        if key not in self.trials:
            raise TrialNotFound
        return key

    def _proto(self, key: tuple[str, int]) -> trial_pb2.Trial:
        trial = self.trials[key]
        proto = trial_pb2.Trial(study_id=key[0], number=key[1], job=trial.job)
        if trial.job.state == job_pb2.JOB_STATE_SUCCEEDED:
            proto.quality.CopyFrom(_report(self.surface(trial.parameters)))
        return proto


_KNOWN = ("model_type", "epochs", "batch_size", "learning_rate")


def _report(metrics: Mapping[str, float]) -> quality_pb2.QualityReport:
    parts: dict[str, quality_pb2.QualityPart] = {}
    for name, value in metrics.items():
        part, _, metric = name.partition(".")
        if part == "quality_score":
            continue
        shown = parts.setdefault(part, quality_pb2.QualityPart(name=part))
        if metric:
            shown.metrics.add(name=name, figure=quality_pb2.Figure(value=value))
        else:
            shown.score.value = value
    report = quality_pb2.QualityReport(parts=parts.values())
    if "quality_score" in metrics:
        report.quality_score.value = metrics["quality_score"]
    return report


@asynccontextmanager
async def serving_trials(peer: TrialPeer, tokens: Tokens, port: int = 0) -> AsyncIterator[str]:
    """Serves the generation service's part; yields the address."""

    def register(server: grpc.aio.Server) -> None:
        trial_pb2_grpc.add_TrialServiceServicer_to_server(peer, server)

    parts = Application(("mirage.generation.v1.TrialService",), register, tokens.verifier)
    async with serving_peer(parts, port) as address:
        yield address
