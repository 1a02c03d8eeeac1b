"""From what a caller asks of a search to the message that asks for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from mirage.errors import InvalidRequest, Violation
from mirage.job_requests import to_struct
from mirage.optimizer.v1 import study_pb2 as pb


def study_request(
    dataset_id: str,
    model: str = "ctgan",
    trials: int | None = None,
    *,
    method: str = "",
    metric: str = "",
    space: Mapping[str, Any] | None = None,
    acquisition: str = "",
    seed: int | None = None,
    parallel: int | None = None,
    timeout_s: float | None = None,
    patience: int | None = None,
    caps: Mapping[str, Any] | None = None,
    objectives: Sequence[str] = (),
    target_column: str = "",
    columns: Sequence[str] = (),
    holdout_fraction: float | None = None,
    engine: str = "",
    name: str = "",
    dataset_version: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> pb.StartStudyRequest:
    """Returns the request for a study; what isn't given is left to the platform.

    Raises:
        InvalidRequest: if a number doesn't fit its field; everything else is the platform's to judge.
    """
    try:
        return pb.StartStudyRequest(
            dataset_id=dataset_id,
            dataset_version=dataset_version,
            model_type=model,
            engine=engine,
            optimization_method=method,
            n_trials=trials,
            optimization_metric=metric,
            search_space=to_struct(space) if space else None,
            acquisition_function=acquisition,
            random_state=seed,
            parallel_trials=parallel,
            timeout_seconds=timeout_s,
            patience=patience,
            caps=to_struct(caps) if caps else None,
            objectives=objectives,
            target_column=target_column,
            model_config=to_struct(parameters) if parameters else None,
            columns=columns,
            holdout_fraction=holdout_fraction,
            name=name,
        )
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            "The request can't be sent.", violations=[Violation("request", str(error))], reason="INVALID_REQUEST"
        ) from None
