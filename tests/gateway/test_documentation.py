"""The OpenAPI document and the pages that show it: complete, valid, and served with nothing from outside."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.contracts import Rpc, read_descriptor_set, routed_rpcs
from protos.generate import drifted

PAGES = ("/docs", "/redoc")


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    """The document as the gateway serves it."""
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    loaded: dict[str, Any] = answer.json()
    return loaded


def rpcs() -> list[Rpc]:
    """Every RPC that has an HTTP route."""
    return [rpc for rpc in routed_rpcs(read_descriptor_set()) if rpc.bindings]


def test_generated_files_follow_the_contracts() -> None:
    """Stubs, descriptor set and document are what the contracts say now."""
    assert drifted() == []


def test_document_is_valid(document: dict[str, Any]) -> None:
    """The document is OpenAPI 3.1, by the standard's own schema, and every reference leads somewhere."""
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_is_there_and_no_other(document: dict[str, Any]) -> None:
    """Each annotated route is an operation, and each operation but health is an annotated route."""
    routes = {(binding.verb.lower(), binding.template) for rpc in rpcs() for binding in rpc.bindings}
    documented = {(verb, path) for path, verbs in document["paths"].items() for verb in verbs}
    assert documented == routes | {("get", "/health")}
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of the document."""
    for verbs in document["paths"].values():
        yield from verbs.values()


def properties(schema: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of a schema and of those inside it."""
    if isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from properties(inner, f"{at}[{index}]")
    if isinstance(schema, dict):
        named = schema.get("properties")
        for name, value in (named if isinstance(named, dict) else {}).items():
            yield f"{at}.{name}", value
        for key, inner in schema.items():
            if key != "examples":
                yield from properties(inner, f"{at}.{key}" if key != "properties" else at)


def test_everything_is_described(document: dict[str, Any]) -> None:
    """Every operation, parameter, body, answer, schema and field says what it is."""
    undescribed = [
        name for name, value in properties(document, "") if not value.get("description") and "$ref" not in value
    ]
    assert undescribed == []
    assert all(schema["description"] for schema in document["components"]["schemas"].values())
    assert {tag["name"] for tag in document["tags"]} == {operation["tags"][0] for operation in operations(document)}
    for operation in operations(document):
        assert operation["summary"]
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))
        assert operation["responses"]["200"]["description"]


def test_bodies_answers_and_roles(document: dict[str, Any]) -> None:
    """Each operation takes, gives and demands what its RPC does."""
    for rpc in rpcs():
        for binding in rpc.bindings:
            operation = document["paths"][binding.template][binding.verb.lower()]
            assert ("requestBody" in operation) == bool(binding.body)
            ways = [] if rpc.is_open else [{"access_token": list(rpc.scopes)}]
            if rpc.name in ("WatchDataset", "WatchJob", "WatchNotifications", "WatchStudy"):
                ways.append({"stream_ticket": []})
            assert operation["security"] == ways
            assert rpc.is_open or "401" in operation["responses"]
            required = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter.get("required")}
            assert required == set(binding.variables)
            content = operation["responses"]["200"]["content"]
            if rpc.is_raw:
                assert "success" not in str(content)
            elif rpc.streams_responses:
                assert set(content) == {"text/event-stream"}
            else:
                assert set(content["application/json"]["schema"]["properties"]) == {
                    "success", "data", "message", "timestamp",
                }  # fmt: skip


def test_upload_by_form_or_as_it_is(document: dict[str, Any]) -> None:
    """An upload takes a form with a file, or the file alone in any of its types."""
    content = document["paths"]["/upload/dataset"]["post"]["requestBody"]["content"]
    form = content["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    assert set(form["properties"]) == {"file", "name", "description", "visibility"}
    assert {"text/csv", "application/json", "application/octet-stream"} < set(content)


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    """Every example of a request names only fields that the request has."""
    for operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in body:
            schema = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
            assert body["example"].keys() <= schema.get("properties", {}).keys()


def test_example_is_accepted(signed_in: httpx.Client, document: dict[str, Any]) -> None:
    """What the document shows of a request gets through the gateway to the service, which isn't there."""
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body and "example" in body:
                answer = signed_in.request(verb.upper(), re.sub(r"[{}]", "", path), json=body["example"])
                assert answer.status_code == 501


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("prefix", ["", "/api", "/api/v1"])
def test_pages(client: httpx.Client, path: str, prefix: str) -> None:
    """Both pages are HTML, with and without a slash at the end, and all that they name is here."""
    for spelling in (path, f"{path}/", f"{path}?x=1"):
        answer = client.get(f"{prefix}{spelling}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        named = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        assert len(named) >= 4
        assert all(client.get(name).status_code == 200 for name in named)


@pytest.mark.parametrize("path", PAGES)
def test_policy_of_the_pages(client: httpx.Client, path: str) -> None:
    """The browser is told to load and to call nothing but this origin, and to run no script that stands in the page."""
    policy = client.get(path).headers["content-security-policy"]
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "http" not in policy


def test_assets_are_compressed(client: httpx.Client) -> None:
    """The pages' scripts travel compressed and may be kept for a while."""
    with client.stream("GET", "/docs/assets/redoc.standalone.js", headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["content-encoding"] == "gzip"
        assert "max-age" in answer.headers["cache-control"]
        assert "cdn.redoc.ly" not in answer.read().decode()
