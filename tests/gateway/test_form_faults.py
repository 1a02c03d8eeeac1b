"""Requests with faults of form for RPCs that tell them with their own: what reaches the service of them."""

import json
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from mirage.generation.v1 import job_pb2
from servicekit.form_faults import HEADER
from tests.gateway.test_requests import JSON, START, UPDATE_DATASET, violations_of
from tests.gateway.upstream import Upstream

SAMPLE = "/mirage.generation.v1.ModelService/SampleModel"


def _judged(upstream: Upstream) -> dict[str, Any]:
    """What the service got to judge."""
    assert not any(call.path in (START, UPDATE_DATASET, SAMPLE) for call in upstream.calls)  # nothing to carry out
    document: dict[str, Any] = MessageToDict(upstream.judged[-1].requests[0], preserving_proto_field_name=True)
    return document


def test_what_is_right_arrives(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Fields with faults are left out, be they unknown, of a wrong type or given twice; others arrive as they are."""
    content = (
        '{"dataset_id": "d", "sampel_size": {"a": [1, "}"]}, "seed": 7, "seed": 8, "sample_size": "many", "columns": '
        '["a", 3], "target_column":"\\u00e9\\"", "nonsense": null, "output_format": 7, "holdout_fraction": 0.25,'
        '"model_config": {"model_type": "ctgan", "epochs": [3]}}'
    )
    found = violations_of(signed_in.post("/api/generation/start?x=1", content=content, headers=JSON))
    assert set(found) == {"x", "sampel_size", "seed", "sample_size", "columns.1", "nonsense", "output_format"}
    assert _judged(upstream) == {
        "dataset_id": "d",
        "seed": 7,
        "target_column": 'é"',
        "holdout_fraction": 0.25,
        "model_config": {"model_type": "ctgan", "epochs": [3]},
    }


def test_members_of_items(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A fault in an item's field takes that field alone; an item that is none takes the whole list."""
    columns: list[Any] = [{"name": "a"}, {"name": "b", "rolle": "target"}]
    violations_of(signed_in.put("/datasets/d1", json={"columns": columns}))
    assert _judged(upstream)["columns"] == [{"name": "a"}, {"name": "b"}]
    for columns in ([{"name": "a", "rolle": ""}, 3], [3, {"name": "a", "rolle": ""}]):
        violations_of(signed_in.put("/datasets/d1", json={"columns": columns, "name": "flights"}))
        assert _judged(upstream) == {"dataset_id": "d1", "name": "flights"}


def test_a_streamed_answer(signed_in: httpx.Client, upstream: Upstream) -> None:
    """An RPC that would stream its answer refuses as others do."""
    found = violations_of(signed_in.post("/generation/models/m/sample", json={"n": 0, "sead": 1}))
    assert set(found) == {"n", "sead"}
    assert _judged(upstream) == {"model_id": "m", "n": 0}


def test_keys_belong_to_the_request_as_it_was(signed_in: httpx.Client, upstream: Upstream) -> None:
    """The idempotency key doesn't come with a request that is judged alone."""
    signed_in.post("/generation/start", json={"dataset_id": "d", "nonsense": 1}, headers={"idempotency-key": "k"})
    assert "idempotency-key" not in upstream.judged[-1].metadata
    found = violations_of(signed_in.post("/generation/start", json={}, headers={b"idempotency-key": b"\xe9"}))
    assert set(found) == {"idempotency-key", "dataset_id"}


def test_nobody_outside_tells_faults(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A client's own header goes no further, over REST and gRPC."""
    upstream.on(START, lambda _request, _context: job_pb2.Job())
    forged = {HEADER: json.dumps([["dataset_id", "is forged"]])}
    assert signed_in.post("/generation/start", json={"dataset_id": "d"}, headers=forged).status_code == 200
    found = violations_of(signed_in.post("/generation/start", json={"dataset_id": "d", "x": 1}, headers=forged))
    assert set(found) == {"x"}
    assert "forged" not in upstream.judged[-1].metadata[HEADER]
    content = b"\0\0\0\0\0"
    signed_in.post(START, content=content, headers={**forged, "content-type": "application/grpc-web+proto"})
    assert HEADER not in upstream.last_call.metadata


@pytest.mark.parametrize(
    "wrong",
    [
        {"n" * 4500: 1},
        {f"field_{index}": 1 for index in range(60)},
        {"\N{PILE OF POO}" * 300: 1, "\N{PILE OF POO}" * 60: 1, "\N{PILE OF POO}" * 50: 2},
    ],
    ids=["long", "many", "wide"],
)
def test_more_than_a_header_holds(signed_in: httpx.Client, upstream: Upstream, wrong: dict[str, Any]) -> None:
    """Faults that fill more than a header are told by the gateway alone, or shortened, and never lost."""
    found = violations_of(signed_in.post("/generation/start", json={"dataset_id": "d", **wrong}))
    assert any(name.startswith(next(iter(wrong))[:5]) for name in found)
    assert all(len(call.metadata[HEADER]) <= 4000 for call in upstream.judged)
    assert not any(call.path == START for call in upstream.calls)
