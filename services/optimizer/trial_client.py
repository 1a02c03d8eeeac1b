"""The generation service, as this service needs it: tables described, trials run, models kept."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc.aio
from google.protobuf.json_format import MessageToDict

from mirage.generation.v1 import job_pb2, trial_pb2, trial_pb2_grpc
from servicekit.clients import ServiceIdentity, own_stream, peer_error
from servicekit.structs import to_struct

_PEER = "generation service"
# A table is looked at, or a model moved, before the answer.
_LONG_CALL_S = 60.0


@dataclass(frozen=True)
class TableFacts:
    """What a study needs to know of its table and model.

    `parameters` are the model type's, each with name, type, limits and default; `unmeasurable` are metrics that can't
    be computed on this table, each with the reason.
    """

    dataset_version: int
    dataset_name: str
    training_rows: int
    target_column: str
    engine: str
    model_type: str
    parameters: tuple[Mapping[str, Any], ...]
    unmeasurable: Mapping[str, str]
    scores_while_training: bool


@dataclass(frozen=True)
class TrialOrder:
    """A trial as it is ordered."""

    study_id: UUID
    number: int
    owner_id: UUID
    dataset_id: UUID
    dataset_version: int
    engine: str
    model_config: Mapping[str, Any]  # the model's type and its parameters
    seed: int
    columns: Sequence[str]
    target_column: str
    holdout_fraction: float
    score_epochs: Sequence[int] = ()  # after which it is scored while it trains
    score_metrics: Sequence[str] = ()  # by these


class TrialClient:
    """Asks the generation service, in this service's own name.

    Every method raises PeerError with what the generation service says, and Unavailable where it can't be reached.
    """

    def __init__(self, channel: grpc.aio.Channel, identity: ServiceIdentity) -> None:
        self._stub = trial_pb2_grpc.TrialServiceStub(channel)
        self._identity = identity

    async def describe(
        self,
        owner_id: UUID,
        *,
        dataset_id: str,
        dataset_version: int,
        model_config: Mapping[str, Any],
        engine: str,
        columns: Sequence[str],
        target_column: str,
        holdout_fraction: float,
    ) -> TableFacts:
        """What there is to know of a table and a model before anything is tried."""
        request = trial_pb2.DescribeTableRequest(
            owner_id=str(owner_id),
            dataset_id=dataset_id,
            dataset_version=dataset_version,
            target_column=target_column,
            model_config=to_struct(model_config),
            engine=engine,
            columns=columns,
            holdout_fraction=holdout_fraction,
        )
        try:
            answer = await self._stub.DescribeTable(request, timeout=_LONG_CALL_S)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error
        return TableFacts(
            dataset_version=answer.dataset_version,
            dataset_name=answer.dataset_name,
            training_rows=int(answer.training_rows),
            target_column=answer.target_column,
            engine=answer.engine,
            model_type=answer.model_type.name,
            parameters=tuple(_parameter(each) for each in answer.model_type.parameters),
            unmeasurable=dict(answer.unmeasurable),
            scores_while_training=answer.scores_while_training,
        )

    async def start(self, order: TrialOrder) -> trial_pb2.Trial:
        """Orders a trial; one that was ordered before is returned as it stands."""
        request = trial_pb2.StartTrialRequest(
            study_id=str(order.study_id),
            number=order.number,
            owner_id=str(order.owner_id),
            job=job_pb2.StartJobRequest(
                dataset_id=str(order.dataset_id),
                dataset_version=order.dataset_version,
                engine=order.engine,
                model_config=to_struct(order.model_config),
                seed=order.seed,
                columns=order.columns,
                target_column=order.target_column,
                holdout_fraction=order.holdout_fraction,
            ),
            score_epochs=order.score_epochs,
            score_metrics=order.score_metrics,
        )
        try:
            return await self._stub.StartTrial(request, timeout=_LONG_CALL_S)
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error

    async def get(self, study_id: UUID, number: int) -> trial_pb2.Trial:
        """A trial as it stands."""
        try:
            return await self._stub.GetTrial(trial_pb2.GetTrialRequest(study_id=str(study_id), number=number))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error

    async def watch(self, study_id: UUID, number: int, resume_token: str) -> AsyncGenerator[job_pb2.JobEvent, None]:
        """What happens in a trial from a point on, to its last event."""
        request = trial_pb2.WatchTrialRequest(study_id=str(study_id), number=number, resume_token=resume_token)
        try:
            async with aclosing(own_stream(self._identity, self._stub.WatchTrial, request)) as events:
                async for event in events:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error

    async def cancel(self, study_id: UUID, number: int) -> None:
        """Calls a trial off; one that has ended stays as it is."""
        try:
            await self._stub.CancelTrial(trial_pb2.CancelTrialRequest(study_id=str(study_id), number=number))
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error

    async def keep_model(self, study_id: UUID, number: int) -> str:
        """Makes a trial's model one of its owner's; returns the model's id. Twice is once."""
        request = trial_pb2.KeepTrialModelRequest(study_id=str(study_id), number=number)
        try:
            return (await self._stub.KeepTrialModel(request, timeout=_LONG_CALL_S)).job.model_id
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error

    async def delete(self, study_id: UUID) -> int:
        """Deletes all trials of a study but the one whose model is kept; returns how many. Twice is once."""
        request = trial_pb2.DeleteTrialsRequest(study_id=str(study_id))
        try:
            return (await self._stub.DeleteTrials(request, timeout=_LONG_CALL_S)).deleted
        except grpc.aio.AioRpcError as error:
            raise peer_error(error, _PEER) from error


def _parameter(parameter: job_pb2.Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": parameter.type,
        "minimum": parameter.minimum if parameter.HasField("minimum") else None,
        "maximum": parameter.maximum if parameter.HasField("maximum") else None,
        "choices": list(parameter.choices),
        "default": MessageToDict(parameter.default) if parameter.HasField("default") else None,
    }
