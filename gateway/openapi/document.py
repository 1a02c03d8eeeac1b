"""The document as a whole."""

from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.contracts import Rpc, routed_rpcs
from gateway.openapi.answers import DETAILS, ERROR, RESPONSES, envelope
from gateway.openapi.comments import comments_of
from gateway.openapi.operations import Operations, tag_of
from gateway.openapi.schemas import Schemas

_DESCRIPTION = """\
Mirage turns a private table into a synthetic one that has its statistics but none of its people.

**Answers** are JSON in one shape: `{"success": true, "data": …, "message": "…", "timestamp": "…"}`, or
`{"success": false, "error": {"code": "…", "message": "…", "details": […]}, "timestamp": "…"}` with a status of 400 or
more. `error.code` is for programs; `error.details` names every wrong field at once. Files and streams come without it.

**Signing in:** `POST /auth/register`, then `POST /auth/login`; its `access_token` goes into the header
`Authorization: Bearer …` of every other request. It is good for half an hour; `POST /auth/refresh` gives a new one.

**Lists** come in pages: `next_page_token` of one page is `page_token` of the next.

**Programs** trade an API key (`POST /auth/api-keys`) for a token at `POST /auth/token`, as OAuth 2 does.

**Streams** are server-sent events. Whoever drops out goes on with `resume_token` of the last event that was seen. A
browser's `EventSource` opens one by `?ticket=` (`POST /auth/stream-ticket`).

Every route is served as written, below `/api` and below `/api/v1`. The same calls are there over gRPC and grpc-web, on
the same port.
"""

_PLATFORM = "Platform"


def make_document(files: descriptor_pb2.FileDescriptorSet) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every route.

    Args:
        files: the contracts, compiled with source info.

    Raises:
        ValueError: something has no comment, or two things would share a name.
    """
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    schemas = Schemas(comments_of(files))
    rpcs = [rpc for rpc in routed_rpcs(files) if rpc.bindings]
    paths = _paths(rpcs, Operations(pool, schemas))
    _require_unique(schemas.components, {"Error": ERROR, **DETAILS})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mirage",
            "version": "v1",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "Where this page comes from."}],
        "tags": [*_tags(rpcs, schemas), {"name": _PLATFORM, "description": "The platform itself."}],
        "paths": paths,
        "components": {
            "schemas": {**dict(sorted(schemas.components.items())), "Error": ERROR, **DETAILS},
            "responses": RESPONSES,
            "securitySchemes": {
                "access_token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `access_token` of `POST /auth/login`. What is listed with it is the scope that "
                    "a token made from an API key needs.",
                },
                "stream_ticket": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "ticket",
                    "description": "The `ticket` of `POST /auth/stream-ticket`, for a browser's `EventSource`.",
                },
            },
        },
    }


def _paths(rpcs: list[Rpc], operations: Operations) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    seen: set[str] = set()
    for rpc in rpcs:
        for binding, operation in operations.of(rpc):
            verbs = paths.setdefault(binding.template, {})
            _require_unique(verbs, {binding.verb.lower(): operation})
            _require_unique(dict.fromkeys(seen), {operation["operationId"]: operation})
            verbs[binding.verb.lower()] = operation
            seen.add(operation["operationId"])
    return {**paths, "/health": {"get": _health()}}


def _tags(rpcs: list[Rpc], schemas: Schemas) -> list[dict[str, Any]]:
    return [
        {"name": name, "description": schemas.comment(service)}
        for name, service in {tag_of(rpc): rpc.service for rpc in rpcs}.items()
    ]


def _health() -> dict[str, Any]:
    data = {
        "type": "object",
        "description": "How the platform is.",
        "required": ["status"],
        "properties": {"status": {"type": "string", "const": "healthy", "description": "Always `healthy`."}},
    }
    return {
        "tags": [_PLATFORM],
        "summary": "Says whether the platform can serve",
        "description": "200 when every service can be reached and serves, 503 otherwise.",
        "operationId": "GetHealth",
        "security": [],
        "responses": {
            "200": {
                "description": "The platform can serve.",
                "content": {"application/json": {"schema": envelope(data)}},
            },
            "503": {"$ref": "#/components/responses/Unavailable"},
        },
    }


def _require_unique(names: dict[str, Any], further: dict[str, Any]) -> None:
    if shared := names.keys() & further.keys():
        raise ValueError(f"two things are named {', '.join(sorted(shared))}")
