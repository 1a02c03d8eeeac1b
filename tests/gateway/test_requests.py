"""REST requests that their routes don't take: all that is wrong, at once, in the same form as services say it."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, session_pb2
from mirage.dataset.v1 import dataset_pb2
from mirage.generation.v1 import job_pb2
from tests.gateway.envoy import RunningEnvoy, running_envoy
from tests.gateway.rpcs import EXPORT, GET_ME, LIST_ROWS, UPLOAD, WATCH
from tests.gateway.test_errors import error_of, own_error_info
from tests.gateway.upstream import Behaviour, Upstream
from tests.support.tokens import Tokens

START = "/mirage.generation.v1.JobService/StartJob"
VALIDATE = "/mirage.generation.v1.JobService/ValidateJob"
LIST_ALL_JOBS = "/mirage.generation.v1.JobAdministrationService/ListAllJobs"
LIST_DATASETS = "/mirage.dataset.v1.DatasetService/ListDatasets"
UPDATE_DATASET = "/mirage.dataset.v1.DatasetService/UpdateDataset"
UPDATE_PROFILE = "/mirage.auth.v1.AccountService/UpdateProfile"
JSON = {"content-type": "application/json"}


def _always(answer: Any) -> Behaviour:
    return lambda _request, _context: answer


@pytest.fixture(autouse=True)
def _behaviours(upstream: Upstream) -> None:
    answers = {
        START: job_pb2.Job(),
        VALIDATE: job_pb2.JobValidation(),
        LIST_ALL_JOBS: job_pb2.ListAllJobsResponse(),
        LIST_DATASETS: dataset_pb2.ListDatasetsResponse(),
        LIST_ROWS: dataset_pb2.ListRowsResponse(),
        UPDATE_DATASET: dataset_pb2.Dataset(),
        GET_ME: account_pb2.User(user_id="u1"),
        UPDATE_PROFILE: account_pb2.Profile(),
    }
    for path, answer in answers.items():
        upstream.on(path, _always(answer))


def violations_of(answer: httpx.Response) -> dict[str, str]:
    """What an answer says of each wrong field, after a look at the rest of it."""
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    assert error["code"] == "INVALID_REQUEST"
    info, bad_request = error["details"]
    assert info == own_error_info(answer, "INVALID_REQUEST")
    assert bad_request["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    found = {each["field"]: each["description"] for each in bad_request["field_violations"]}
    assert all(field in error["message"] for field in list(found)[:1])
    return found


def test_everything_wrong_with_a_body_at_once(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Unknown fields, wrong types and numbers out of range are all named, with what would be right."""
    wrong = {
        "dataset_id": 7,
        "sampel_size": 100,
        "sampleSize": 100,
        "sample_size": "many",
        "seed": -1,
        "dataset_version": 1.5,
        "columns": ["a", 1, {"b": 2}],
        "model_config": [],
        "include_metadata": "yes",
        "holdout_fraction": "0.1",
        "nonsense": None,
    }
    found = violations_of(signed_in.post("/api/v1/generation/start", json=wrong))
    assert {name: text for name, text in found.items() if name != "nonsense"} == {
        "dataset_id": "must be a string",
        "sampel_size": "is not known here; did you mean sample_size?",
        "sampleSize": "is not known here; did you mean sample_size?",
        "sample_size": "must be a whole number from 1 to 100000",
        "seed": "must be a whole number from 0 to 4294967295",
        "dataset_version": "must be a whole number from 0 to 4294967295",
        "columns.1": "must be a string",
        "columns.2": "must be a string",
        "model_config": "must be an object",
        "include_metadata": "must be true or false",
        "holdout_fraction": "must be a number from 0 to 0.5",
    }
    assert "columns, conditions, dataset_id" in found["nonsense"]  # far from any, so all are named
    assert not upstream.calls or upstream.last_call.path != START


def test_fields_inside_fields(signed_in: httpx.Client) -> None:
    """A wrong field is named by its place, inside lists and other messages, and in a body that is one field itself."""
    columns = [{"name": "a"}, {"name": "b", "rolle": "target"}, 3, None]
    found = violations_of(signed_in.put("/datasets/d1", json={"columns": columns}))
    assert found == {
        "columns.1.rolle": "is not known here; did you mean role?",
        "columns.2": "must be an object",
        "columns.3": "must be an object",
    }
    found = violations_of(signed_in.post("/generation-v2/validate?seed=1", json={"body": {}, "seeds": 1}))
    assert set(found) == {"seed", "body", "seeds", "request.dataset_id"}
    assert violations_of(signed_in.put("/datasets/d1", json={"dataset_id": "d2", "name": "x"})).keys() == {"dataset_id"}
    assert signed_in.put("/users/profile", json={"preferences": {"anything": [1, {"a": None}]}}).status_code == 200


def test_query(signed_in: httpx.Client) -> None:
    """Every wrong parameter of a query is named, with the values that it may have."""
    query = "page_size=many&pagetoken=x&visibility=a&visibility=b&offset=1&page_token=%FF"
    found = violations_of(signed_in.get(f"/datasets?{query}"))
    assert set(found) == {"page_size", "pagetoken", "visibility", "offset", "page_token"}
    assert found["pagetoken"] == "is not known here; did you mean page_token?"
    assert found["visibility"] == "is given twice"
    found = violations_of(signed_in.get("/admin/requests?state=1&since=yesterday&page_size=9999999999"))
    assert found["state"].startswith("must be one of JOB_STATE_UNSPECIFIED, JOB_STATE_AWAITING_APPROVAL")
    assert "2026-01-31T12:00:00Z" in found["since"]
    assert found["page_size"] == "must be a whole number of at least 0"
    for query in (
        "state=JOB_STATE_QUEUED&since=2026-01-31T12%3A00%3A00.5%2B02:00",
        "page_size=-1",
        "",
        "user_id=%C3%A9",
    ):
        answer = signed_in.get(f"/admin/requests?{query}")
        assert answer.status_code == 200, answer.text
    found = violations_of(signed_in.get("/datasets/upload?name=x&wait=1&nam=y"))
    assert set(found) == {"nam", "wait", "name"}  # GET /datasets/{dataset_id}


def test_query_of_an_upload(signed_in: httpx.Client, upstream: Upstream) -> None:
    """An upload's parameters are checked before its body is read; the body itself is not looked at."""
    upstream.on(UPLOAD, lambda requests, _context: dataset_pb2.Dataset(name=next(requests).name))
    headers = {"content-type": "application/json"}
    found = violations_of(signed_in.post("/upload/dataset?nmae=x&wait=maybe", content=b'[{"a":1}]', headers=headers))
    assert found == {"nmae": "is not known here; did you mean name?", "wait": "must be true or false"}
    answer = signed_in.post("/upload/dataset?name=x", content=b'[{"a":1}]', headers=headers)
    assert answer.json()["data"]["name"] == "x"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"display_name": 7', "line 1, column 19: a comma or }"),
        (b'{"display_name":\n  tru }', "line 2, column 3: a value"),
        (b"{1: 2}", "column 2: a name in quotes"),
        (b'{"display_name" 1}', "column 17: a colon"),
        (b'{"display_name": "a}', "column 18: this string doesn't end"),
        (b'{"display_name": "a\tb"}', "column 20: a control character"),
        (b'{"display_name": "\xff"}', "column 19: this is not UTF-8"),
        (b'{"display_name": "\xed\xa0\x80"}', "column 19: this is not UTF-8"),
        (b"{} {}", "column 4: nothing may follow"),
        (b'{"display_name": 01}', "column 19: a comma or }"),
        (b'{"display_name": NaN}', "a value is expected"),
        pytest.param(b'{"a": ' + b"[" * 100_000, "nothing may be nested deeper than 30 levels", id="deep lists"),
        pytest.param(b'{"a": ' * 100_000, "nothing may be nested deeper than 30 levels", id="deep objects"),
    ],
)
def test_where_json_breaks(signed_in: httpx.Client, body: bytes, where: str) -> None:
    """A body that is no JSON is refused with the place where it stops being it."""
    found = violations_of(signed_in.put("/auth/me", content=body, headers=JSON))
    assert where in found["body"]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null", b"true"])
def test_a_body_that_is_no_object(signed_in: httpx.Client, body: bytes) -> None:
    """JSON of another kind than an object is told to be that."""
    assert violations_of(signed_in.put("/auth/me", content=body, headers=JSON)) == {"body": "must be a JSON object"}


def test_many_wrong_fields(signed_in: httpx.Client) -> None:
    """Of very many wrong fields the first are told and the rest counted; names nobody could read are cut."""
    wrong = {f"no such field {number} é" * 20: number for number in range(2_000)}
    found = violations_of(signed_in.post("/generation/start", json=wrong))
    assert found["…"] == "and 1951 more wrong fields"
    assert len(found) == 51
    assert all(len(name) <= 101 for name in found)


def test_hostile_names_are_told_safely(signed_in: httpx.Client) -> None:
    """A name's quotes, line breaks and bytes don't get out of the answer's own JSON; escaped letters are letters."""
    body = b'{"a\\"b\\n\\u0000": 1, "\\u0073eed": "x", "sample\\u005fsize": 5, "</script>%s{}": 1, "\\ud800": 1}'
    found = violations_of(signed_in.post("/generation/start", content=body, headers=JSON))
    assert set(found) == {'a"b\n\0', "seed", "</script>%s{}", "?", "dataset_id"}


def test_null_is_nothing(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A field that is null counts as not given, as everywhere in this mapping of JSON."""
    assert signed_in.post("/generation/start", json={"dataset_id": "d1", "seed": None, "columns": None}).is_success
    request = upstream.last_call.requests[0]
    assert (request.dataset_id, request.HasField("seed")) == ("d1", False)


def _request_documents() -> st.SearchStrategy[dict[str, Any]]:
    """Requests for a job as JSON: right ones, with anything in their free objects."""
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    free = st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=10,
    )
    objects = st.dictionaries(texts, free, max_size=4)
    fields = {
        "dataset_id": texts,
        "dataset_version": st.integers(0, 2**32 - 1),
        "sample_size": st.integers(-(2**31), 2**31 - 1),
        "seed": st.integers(0, 2**32 - 1) | st.none(),
        "model_config": objects,
        "conditions": objects,
        "include_metadata": st.booleans(),
        "columns": st.lists(texts, max_size=3),
        "holdout_fraction": numbers,
        "name": texts,
    }
    return st.fixed_dictionaries({}, optional=fields)


@given(document=_request_documents(), ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_right_requests_arrive_whole(
    signed_in: httpx.Client, upstream: Upstream, document: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    """Whatever right request is sent, however it is written, the service gets all of it."""
    content = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    answer = signed_in.post("/generation/start", content=content, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert upstream.last_call.requests[0] == ParseDict(document, job_pb2.StartJobRequest())


@given(document=_request_documents(), data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_requests_are_refused_or_arrive_whole(
    signed_in: httpx.Client, upstream: Upstream, document: dict[str, Any], data: st.DataObject
) -> None:
    """A body with bytes changed, taken out or put in is refused cleanly, or means the same to everybody."""
    content = bytearray(json.dumps(document, ensure_ascii=False).encode())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 2))] = data.draw(
        st.binary(max_size=2) | st.sampled_from([b'"', b"}"])
    )
    upstream.calls.clear()
    answer = signed_in.post("/generation/start", content=bytes(content), headers=JSON)
    if content and answer.status_code == 200:
        sent = json.loads(content)
        assert upstream.last_call.requests[0] == ParseDict(sent, job_pb2.StartJobRequest())
    else:
        assert answer.status_code == 400
        assert error_of(answer)["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/auth/me", "GET, HEAD, OPTIONS, PUT"),
        ("GET", "/api/auth/login", "OPTIONS, POST"),
        ("PATCH", "/api/v1/datasets/d1?x=1", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("PUT", "/datasets/d1/export", "GET, OPTIONS"),
        ("HEAD", "/datasets/d1/watch", "GET, OPTIONS"),
        ("TRACE", "/datasets", "GET, HEAD, OPTIONS"),
        ("DELETE", "/upload/dataset", "OPTIONS, POST"),
    ],
)
def test_other_methods(signed_in: httpx.Client, method: str, path: str, allowed: str) -> None:
    """A method that a path doesn't have is 405, with those that it has."""
    answer = signed_in.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert error_of(answer)["code"] == "METHOD_NOT_ALLOWED"


def test_options(client: httpx.Client) -> None:
    """Anybody may ask which methods a path has."""
    answer = client.options("/api/v1/datasets/d1")
    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PUT")
    assert not answer.content
    assert client.options("/nothing").status_code == 404


@pytest.mark.parametrize("version", [1, 2])
def test_head(gateway: RunningEnvoy, upstream: Upstream, tokens: Tokens, version: int) -> None:
    """HEAD is GET without the body, errors included, over either version of HTTP."""
    headers = {"authorization": f"Bearer {tokens.user()}"}
    with httpx.Client(http1=version == 1, http2=version == 2, headers=headers, base_url=gateway.url) as client:
        for path, status in (("/auth/me", 200), ("/datasets?nothing=1", 400), ("/nothing", 404), ("/health", 200)):
            answer = client.head(path)
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith("application/json") or path == "/health"
            assert not answer.content
        assert client.get("/auth/me").json()["data"]["user_id"] == "u1"
        assert client.head("/auth/me", headers={"authorization": ""}).status_code == 401
    assert [call.path for call in upstream.calls].count(GET_ME) == 2


@pytest.mark.parametrize(
    "content_type", ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"]
)
@pytest.mark.parametrize("body", [b"", b"\0\0", b"\0\0\0\0\x09abc", b"AAAA"])
def test_grpc_web_without_its_message(signed_in: httpx.Client, content_type: str, body: bytes) -> None:
    """A call from a browser whose message is missing or cut off is refused at once; nobody waits for the rest."""
    answer = signed_in.post(GET_ME, content=body, headers={"content-type": content_type, "x-grpc-web": "1"}, timeout=5)
    # 13 is what Envoy itself says of text that is no Base64.
    assert answer.headers["grpc-status"] in ({"3"} if content_type.endswith(("web", "proto")) else {"3", "13"})
    assert answer.headers["content-type"].startswith("application/grpc-web")


def test_grpc_web_upload(signed_in: httpx.Client, upstream: Upstream) -> None:
    """What takes a stream may get any number of messages, none included."""
    upstream.on(UPLOAD, lambda requests, _context: dataset_pb2.Dataset(source_bytes=len(list(requests))))
    message = dataset_pb2.UploadDatasetRequest(name="x").SerializeToString()
    frame = struct.pack(">BI", 0, len(message)) + message
    headers = {"content-type": "application/grpc-web+proto"}
    for count in (0, 2):
        answer = signed_in.post(UPLOAD, content=frame * count, headers=headers, timeout=5)
        assert dataset_pb2.Dataset.FromString(answer.content[5 : 5 + answer.content[4]]).source_bytes == count


def test_answers_vary_by_origin(signed_in: httpx.Client) -> None:
    """Caches are told that an answer for one origin is none for another: answers, errors and preflights."""
    preflight = {"access-control-request-method": "GET", "origin": "http://localhost:3000"}
    for answer in (
        signed_in.get("/auth/me"),
        signed_in.get("/auth/me", headers={"origin": "http://localhost:3000"}),
        signed_in.get("/nothing"),
        signed_in.get("/openapi.json"),
        signed_in.options("/auth/me", headers=preflight),
    ):
        assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("10.1.2.3", 200),
        ("10.1.2.3:8080", 200),
        ("[fd00::7]:8080", 200),
        ("a.internal.example.org", 200),
        ("internal.example.org", 421),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("10.1.2.3.evil.example", 421),
    ],
)
def test_health_by_host(gateway_of_hosts: RunningEnvoy, host: str, status: int) -> None:
    """Health is told to allowed names and to whoever uses an address, as probes do; another name is 421 as anywhere."""
    answer = httpx.get(f"{gateway_of_hosts.url}/health", headers={"host": host})
    assert answer.status_code == status
    if status == 421:
        assert error_of(answer)["code"] == "HOST_NOT_ALLOWED"


@pytest.fixture(scope="module")
def gateway_of_hosts(
    shared_upstream: Upstream,
    settings_for: Callable[..., GatewaySettings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningEnvoy]:
    """A gateway that serves some names."""
    settings = settings_for(shared_upstream, allowed_hosts="localhost,*.internal.example.org")
    with running_envoy(Path(tmp_path_factory.mktemp("hosts")), settings) as envoy:
        yield envoy


def test_streams_are_left_alone(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Events and downloads pass as before, their parameters checked."""
    upstream.on(WATCH, lambda _request, _context: (dataset_pb2.DatasetEvent(sequence=n) for n in range(2)))
    assert signed_in.get("/datasets/d1/watch?resume_token=x").text.count("data:") == 2
    assert violations_of(signed_in.get("/datasets/d1/export?fromat=csv")) == {
        "fromat": "is not known here; did you mean format?"
    }
    assert EXPORT not in [call.path for call in upstream.calls]


def test_every_field_of_every_body_is_known(signed_in: httpx.Client, upstream: Upstream) -> None:
    """A full request passes: nothing that the contract has is unknown to the check."""
    request = session_pb2.RegisterRequest(email="a@b.c", password="p" * 12, display_name="é")
    upstream.on("/mirage.auth.v1.SessionService/Register", lambda _request, _context: account_pb2.User())
    answer = signed_in.post("/auth/register", json=MessageToDict(request, preserving_proto_field_name=True))
    assert answer.status_code == 200
    assert upstream.last_call.requests == [request]


def test_headers_that_grpc_cannot_carry(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Names and values that HTTP allows and gRPC doesn't are left out; a key against repetition is refused instead."""
    odd = [(b"8d&y", b"nil"), (b"x-name", "é".encode()), (b"x-trace-bin", b"not base64!"), (b"x_fine.1-", b"kept")]
    assert signed_in.get("/auth/me", headers=odd).status_code == 200
    arrived = upstream.last_call.metadata
    assert arrived["x_fine.1-"] == "kept"
    assert not {"8d&y", "x-name", "x-trace-bin"} & set(arrived)
    key = {b"idempotency-key": "clé".encode()}
    found = violations_of(signed_in.post("/generation/start", json={"dataset_id": "d1", "nam": ""}, headers=key))
    assert set(found) == {"idempotency-key", "nam"}
