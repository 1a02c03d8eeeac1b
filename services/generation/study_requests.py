"""Pure: from what a job asks of a search to the study that the optimizer is asked for."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from mirage.optimizer.v1 import study_pb2
from servicekit.structs import from_struct, to_struct
from services.generation.requests import JobRequest

Document = dict[str, Any]  # JSON

_INT32 = 2**31
# As a study names what a job names otherwise.
_NAMES = {"method": "optimization_method", "metric": "optimization_metric"}
# One way to set a GAN's learning rates replaces the other.
_BOTH_RATES, _EACH_RATE = "learning_rate", frozenset({"generator_lr", "discriminator_lr"})
_STRUCTS = frozenset({"search_space", "caps"})


def study_request(request: JobRequest, dataset_version: int, seed: int) -> study_pb2.StartStudyRequest:
    """The study that a job asks for, of the version and with the seed in force."""
    model = dict(request.model)
    model_type = model.pop("model_type", "")
    study = study_pb2.StartStudyRequest(
        dataset_id=request.dataset_id,
        dataset_version=dataset_version,
        model_type=model_type if isinstance(model_type, str) else "",
        engine=request.engine,
        random_state=seed,
        target_column=request.target_column,
        model_config=to_struct(model),
        columns=request.columns,
        holdout_fraction=request.holdout_fraction,
        name=request.name,
    )
    for name, value in request.optimization.model_dump(exclude_unset=True, exclude={"enabled"}).items():
        if value is None:
            continue
        field = _NAMES.get(name, name)
        if name in _STRUCTS:
            getattr(study, field).CopyFrom(to_struct(value))
        else:
            # What doesn't fit the field is still beyond any limit, and the optimizer says which.
            setattr(study, field, max(-_INT32, min(_INT32 - 1, value)) if isinstance(value, int) else value)
    return study


def parameters_of_trial(study: study_pb2.StartStudyRequest, searched: Mapping[str, Any]) -> Document:
    """The parameters that a trial was trained with: those that all have, and over them the ones that were searched."""
    fixed: Document = from_struct(study.model_config)
    if _BOTH_RATES in searched:
        fixed = {name: value for name, value in fixed.items() if name not in _EACH_RATE}
    if _EACH_RATE & searched.keys():
        fixed.pop(_BOTH_RATES, None)
    return {**fixed, **searched}


def to_document(study: study_pb2.StartStudyRequest) -> Document:
    """The request as a row keeps it."""
    document: Document = MessageToDict(study, preserving_proto_field_name=True)
    return document


def from_document(document: Document) -> study_pb2.StartStudyRequest:
    """The request that a row keeps."""
    return ParseDict(document, study_pb2.StartStudyRequest(), ignore_unknown_fields=True)
