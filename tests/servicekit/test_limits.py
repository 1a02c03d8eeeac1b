"""Limits of requests' fields, as services hold requests to them."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from mirage.auth.v1 import api_key_pb2, session_pb2
from mirage.dataset.v1 import dataset_pb2
from mirage.generation.v1 import job_pb2, quality_pb2
from servicekit.errors import InvalidRequest, Violation
from servicekit.limits import check, fault, limited, violations
from servicekit.validation import validated

SAMPLE_SIZE = job_pb2.StartJobRequest.DESCRIPTOR.fields_by_name["sample_size"]
FRACTION = job_pb2.StartJobRequest.DESCRIPTOR.fields_by_name["holdout_fraction"]


@pytest.mark.parametrize(
    ("value", "settings", "words"),
    [
        (1, {}, None),
        (100_000, {}, None),
        (0, {}, "must be a whole number from 1 to 100000"),
        (100_001, {}, "must be a whole number from 1 to 100000"),
        (100_001, {"MAX_SAMPLE_SIZE": 2_000_000}, None),
        (9, {"MIN_SAMPLE_SIZE": 10}, "must be a whole number from 10 to 100000"),
    ],
)
def test_numbers(value: int, settings: dict[str, float], words: str | None) -> None:
    """A number lies within its bounds, which settings may move; the words tell both."""
    assert fault(SAMPLE_SIZE, value, settings) == words


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_what_is_no_share(value: float) -> None:
    """What can't be compared is outside as well."""
    assert fault(FRACTION, value) == "must be a number from 0 to 0.5"


def test_a_whole_request() -> None:
    """Every field is told at once, by its place, those that must be given among them."""
    request = dataset_pb2.UpdateDatasetRequest(
        name="a" * 201,
        visibility="secret",
        columns=[dataset_pb2.ColumnUpdate(name="a"), dataset_pb2.ColumnUpdate(role="key")],
    )
    assert [field for field, _words in violations(request)] == [
        "name",
        "visibility",
        "columns.1.name",
        "columns.1.role",
    ]
    with pytest.raises(InvalidRequest) as caught:
        check(api_key_pb2.CreateApiKeyRequest(name="a"))
    assert caught.value.violations == (Violation("scopes", "is required"),)
    check(dataset_pb2.UpdateDatasetRequest())  # what is optional and absent is nobody's fault
    check(dataset_pb2.ListDatasetsRequest(page_size=0, visibility=""))
    table = quality_pb2.EvaluateTableRequest(dataset_id="d", sensitive_columns=[str(i) for i in range(11)])
    assert list(violations(table)) == [("sensitive_columns", "must have at most 10 items")]
    inner = job_pb2.ValidateJobRequest(request=job_pb2.StartJobRequest(dataset_id="d", sample_size=0))
    assert [field for field, _words in violations(inner)] == ["request.sample_size"]
    assert list(violations(job_pb2.ValidateJobRequest())) == []


class Model(BaseModel):
    """Fields of several requests."""

    name: Annotated[str | None, limited(session_pb2.RegisterRequest, "display_name")] = None
    scopes: tuple[Annotated[str, limited(api_key_pb2.CreateApiKeyRequest, "scopes")], ...] = ()
    columns: Annotated[tuple[str, ...], limited(quality_pb2.EvaluateTableRequest, "sensitive_columns")] = ()


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"name": " " + "é" * 100 + " ", "scopes": ["account:read"]}, {}),
        ({"name": None}, {}),
        ({"name": "é" * 101}, {"name": "must have 1 to 100 characters and be one line without control characters"}),
        ({"name": ""}, {"name": "is required"}),
        ({"scopes": ["account:read", "all"]}, {"scopes.1": "must be one of account:read"}),
        ({"columns": ["a"] * 10}, {}),
        ({"columns": ["a"] * 11}, {"columns": "must have at most 10 items"}),
    ],
)
def test_models(values: dict[str, Any], wrong: dict[str, str]) -> None:
    """A model's field is held to the limits of the request's, with the same words."""
    if not wrong:
        validated(Model, values)
        return
    with pytest.raises(InvalidRequest) as caught:
        validated(Model, values)
    assert {field: words[: len(wrong[field])] for field, words in caught.value.violations} == wrong
