"""Operations: one for each HTTP route of each RPC."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.contracts import Binding, Rpc
from gateway.openapi.answers import STATUS, envelope
from gateway.openapi.bodies import (
    EXAMPLES,
    FORM_FIELDS,
    FORM_TYPE,
    FORMS,
    OWN_ERRORS,
    RAW_ANSWERS,
    RAW_HEADERS,
    upload_content,
)
from gateway.openapi.schemas import Schemas
from mirage.options.v1 import access_pb2

_ALWAYS = ("InvalidRequest", "TooManyRequests", "Internal", "Unavailable", "Timeout")
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key by the same caller gives the first answer again; with another body it is refused.",
    "schema": {"type": "string", "maxLength": 200},
}
_IDEMPOTENT = ("JobService.StartJob",)
_CHECKS_CREDENTIALS = ("SessionService.Login", "SessionService.Refresh")  # open, and yet not for anybody


def tag_of(rpc: Rpc) -> str:
    """The group that an RPC is shown in: `Job administration` for JobAdministrationService."""
    words = re.findall(r"[A-Z][a-z]*", rpc.service.rpartition(".")[2].removesuffix("Service"))
    return " ".join((words[0], *(word.lower() for word in words[1:])))


def _security(rpc: Rpc) -> list[dict[str, list[str]]]:
    """What a call is signed with, any one of these: nothing where it is open to anyone."""
    if rpc.is_open:
        return []
    token = {"access_token": list(rpc.scopes)}
    return [token, {"stream_ticket": []}] if rpc.is_event_stream else [token]


def _event(message: dict[str, Any]) -> dict[str, Any]:
    """The schema of one server-sent event whose data are a message."""
    data = {
        "type": "string",
        "description": "The message, in JSON.",
        "contentMediaType": "application/json",
        "contentSchema": message,
    }
    return {"type": "object", "required": ["data"], "properties": {"data": data}}


class Operations:
    """Makes operations out of RPCs; the schemas that they name gather in `schemas`."""

    def __init__(self, pool: DescriptorPool, schemas: Schemas) -> None:
        self._pool = pool
        self._schemas = schemas

    def of(self, rpc: Rpc) -> Iterator[tuple[Binding, dict[str, Any]]]:
        """Every route of an RPC with its operation."""
        for index, binding in enumerate(rpc.bindings):
            yield binding, self._operation(rpc, binding, index)

    def _operation(self, rpc: Rpc, binding: Binding, index: int) -> dict[str, Any]:
        text = self._schemas.comment(f"{rpc.service}.{rpc.name}")
        first = rpc.bindings[0]
        summary = re.split(r"(?<=[^A-Z])[.;:] ", text)[0].rstrip(".")
        notes = [text] if text.rstrip(".") != summary else []
        if index:
            notes.append(f"The same as `{first.verb} {first.template}`.")
        if rpc.roles == {access_pb2.ROLE_ADMINISTRATOR}:
            notes.append("For administrators.")
        operation: dict[str, Any] = {
            "tags": [tag_of(rpc)],
            "summary": summary,
            **({"description": "\n\n".join(notes)} if notes else {}),
            "operationId": rpc.name + (str(index + 1) if index else ""),
            "security": _security(rpc),
        }
        if parameters := list(self._parameters(rpc, binding)):
            operation["parameters"] = parameters
        if binding.body:
            operation["requestBody"] = self._body(rpc, binding)
        operation["responses"] = {"200": self._success(rpc)} | {
            STATUS[name]: {"$ref": f"#/components/responses/{name}"} for name in self._errors(rpc, binding)
        }
        operation["responses"] |= OWN_ERRORS.get(rpc.title, {})
        return operation

    def _message(self, name: str) -> Descriptor:
        return self._pool.FindMessageTypeByName(name.lstrip("."))

    def _parameters(self, rpc: Rpc, binding: Binding) -> Iterator[dict[str, Any]]:
        for field in self._message(rpc.request).fields:
            if field.name in binding.variables:
                yield {**self._parameter(field, "path"), "required": True}
        if binding.body != "*":
            for field in self._message(rpc.request).fields:
                if field.name not in (*binding.variables, binding.body):
                    yield self._parameter(field, "query")
        if rpc.title in _IDEMPOTENT:
            yield _IDEMPOTENCY_KEY

    def _parameter(self, field: FieldDescriptor, place: str) -> dict[str, Any]:
        schema = self._schemas.field(field)
        description = schema.pop("description")
        return {"name": field.name, "in": place, "description": description, "schema": schema}

    def _body(self, rpc: Rpc, binding: Binding) -> dict[str, Any]:
        message = self._message(rpc.request)
        if rpc.is_upload:
            form = {
                name: {**self._schemas.field(message.fields_by_name[name]), "examples": [example]}
                for name, example in FORM_FIELDS[rpc.title].items()
            }
            description = self._schemas.comment(f"{message.full_name}.{binding.body}")
            return {"required": True, "description": description, "content": upload_content(form)}
        if rpc.takes_raw_body:
            return {"required": True, "content": {FORM_TYPE: FORMS[rpc.title]}}
        part = None if binding.body == "*" else message.fields_by_name[binding.body].message_type
        message = part or message  # the body is the whole request, or one field of it
        fields = {field.name for field in message.fields}.difference(binding.variables)
        content = {
            "schema": self._schemas.request(message, without=binding.variables),
            "example": EXAMPLES.get(rpc.title, {}),
        }
        if fields and rpc.title not in EXAMPLES:
            raise ValueError(f"{rpc.title} takes a body; give an example of it")
        return {"required": bool(fields), "content": {"application/json": content}}

    def _success(self, rpc: Rpc) -> dict[str, Any]:
        if rpc.is_raw:
            answer = {"description": "The bytes themselves, without the envelope.", "content": RAW_ANSWERS[rpc.title]}
            return answer | ({"headers": RAW_HEADERS[rpc.title]} if rpc.title in RAW_HEADERS else {})
        message = self._message(rpc.response)
        schema = self._schemas.answer(message)
        if rpc.streams_responses:
            description = f"Server-sent events without the envelope: one {message.name} in each `data:` line."
            return {"description": description, "content": {"text/event-stream": {"schema": _event(schema)}}}
        return {
            "description": self._schemas.comment(message.full_name),
            "content": {"application/json": {"schema": envelope(schema)}},
        }

    def _errors(self, rpc: Rpc, binding: Binding) -> Sequence[str]:
        names = list(_ALWAYS)
        if not rpc.is_open:
            names += ["Unauthenticated", "PermissionDenied"]
        if rpc.title in _CHECKS_CREDENTIALS:
            names.append("Unauthenticated")
        if binding.variables or "dataset_id" in self._message(rpc.request).fields_by_name:
            names.append("NotFound")
        if binding.body:
            names += ["Conflict", "TooLarge", "Full"]
        if binding.body and not rpc.is_upload and not rpc.takes_raw_body:
            names.append("UnsupportedMediaType")
        return sorted(names, key=lambda name: STATUS[name])
