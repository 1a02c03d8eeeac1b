"""From what a caller asks for to the message that asks for it."""

import numbers
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from mirage.errors import InvalidRequest, Violation
from mirage.generation.v1 import job_pb2 as pb

LARGEST_SEED = 2**32 - 1


def start_request(
    dataset_id: str,
    model: str = "ctgan",
    rows: int | None = None,
    *,
    seed: int | None = None,
    name: str = "",
    columns: Sequence[str] = (),
    primary_key: str = "",
    target_column: str = "",
    holdout_fraction: float | None = None,
    conditions: Mapping[str, Any] | None = None,
    engine: str = "",
    optimization: Mapping[str, Any] | None = None,
    privacy: Mapping[str, Any] | None = None,
    output_format: str = "csv",
    include_metadata: bool = False,
    dataset_version: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> pb.StartJobRequest:
    """Returns the request for a job; what isn't given is left to the platform.

    Raises:
        InvalidRequest: if a number doesn't fit its field; everything else is the platform's to judge.
    """
    try:
        return pb.StartJobRequest(
            dataset_id=dataset_id,
            dataset_version=dataset_version,
            sample_size=rows,
            seed=seed,
            model_config=to_struct({"model_type": model, **(parameters or {})}),
            optimization_config=to_struct(optimization) if optimization else None,
            output_format=output_format,
            include_metadata=include_metadata,
            columns=columns,
            primary_key=primary_key,
            target_column=target_column,
            holdout_fraction=holdout_fraction,
            engine=engine,
            privacy=to_struct(privacy) if privacy else None,
            conditions=to_struct(conditions) if conditions else None,
            name=name,
        )
    except (TypeError, ValueError) as error:
        raise InvalidRequest("The request can't be sent.", violations=_unfit(rows, seed, str(error))) from None


def to_struct(values: Mapping[str, Any]) -> Struct:
    """Returns values as a Struct: NumPy's numbers as numbers, dates and times in ISO 8601, sequences as lists.

    Raises:
        TypeError: if a value has no place in JSON.
    """
    return json_format.ParseDict({str(name): _plain(value) for name, value in values.items()}, Struct())


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, date):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, Sequence):
        return [_plain(inner) for inner in value]
    raise TypeError(f"a {type(value).__name__} can't be a value of a request")


def _unfit(rows: int | None, seed: int | None, fault: str) -> list[Violation]:
    wrong = []
    if seed is not None and not (isinstance(seed, int) and 0 <= seed <= LARGEST_SEED):
        wrong.append(Violation("seed", f"must be a whole number from 0 to {LARGEST_SEED}"))
    if rows is not None and not (isinstance(rows, int) and -(2**31) <= rows < 2**31):
        wrong.append(Violation("sample_size", "must be a whole number below 2,147,483,648"))
    return wrong or [Violation("request", fault)]
