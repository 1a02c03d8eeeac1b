"""A service that counts for several gateways: Envoy's protocol for it, and envoyproxy/ratelimit's way with its file.

Only as much of that program as its documentation promises of such a file: descriptors are followed entry by entry, by
key and value first and by key alone otherwise, and the limit where they end counts for each list of values by itself.
Time doesn't pass here.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory

_PACKAGE = "envoy.service.ratelimit.v3"
_OK, _OVER_LIMIT = 1, 2
_UNITS = {"second": (1, 1), "minute": (2, 60), "hour": (3, 3600), "day": (4, 86_400)}  # Envoy's number, and its seconds

_TYPE = descriptor_pb2.FieldDescriptorProto


class RateLimitService:
    """Counts by a configuration; knows what it was asked."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self.asked: list[list[tuple[str, str]]] = []  # the entries of each descriptor
        self.address = ""
        self._configuration = configuration
        self._counted: Counter[tuple[tuple[str, str], ...]] = Counter()
        self._lock = threading.Lock()

    def should_rate_limit(self, request: Any, _context: Any) -> Any:
        """Whether a request is over a limit, and how much is left."""
        assert request.domain == self._configuration["domain"]
        with self._lock:
            return self._judge([[(one.key, one.value) for one in each.entries] for each in request.descriptors])

    def _judge(self, descriptors: list[list[tuple[str, str]]]) -> Any:
        answer = _RESPONSE(overall_code=_OK)
        for entries in descriptors:
            self.asked.append(entries)
            limit = _limit(self._configuration["descriptors"], entries)
            status = answer.statuses.add(code=_OK)
            if limit is None:
                continue
            self._counted[tuple(entries)] += 1
            left = limit["requests_per_unit"] - self._counted[tuple(entries)]
            unit, seconds = _UNITS[limit["unit"]]
            status.current_limit.requests_per_unit, status.current_limit.unit = limit["requests_per_unit"], unit
            status.limit_remaining = max(0, left)
            status.duration_until_reset.seconds = seconds // 2
            if left < 0:
                answer.overall_code = status.code = _OVER_LIMIT
        return answer


def _limit(descriptors: Sequence[Mapping[str, Any]], entries: Sequence[tuple[str, str]]) -> Mapping[str, Any] | None:
    (key, value), *rest = entries
    named = next((each for each in descriptors if (each["key"], each.get("value")) == (key, value)), None)
    met = named or next((each for each in descriptors if each["key"] == key and "value" not in each), None)
    if met is None:
        return None
    limit: Mapping[str, Any] | None = _limit(met.get("descriptors", ()), rest) if rest else met.get("rate_limit")
    return limit


@contextmanager
def running_rate_limit_service(configuration: Mapping[str, Any]) -> Iterator[RateLimitService]:
    """Serves on a free port as long as the block runs."""
    service = RateLimitService(configuration)
    method: Any = grpc.unary_unary_rpc_method_handler(
        service.should_rate_limit,
        request_deserializer=_REQUEST.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(f"{_PACKAGE}.RateLimitService", {"ShouldRateLimit": method}),)
    )
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(grace=0).wait()


def _field(name: str, number: int, kind: "_TYPE.Type.ValueType", message: str = "", *, many: bool = False) -> _TYPE:
    label = _TYPE.LABEL_REPEATED if many else _TYPE.LABEL_OPTIONAL
    return _TYPE(name=name, number=number, type=kind, label=label, type_name=message or None)


def _messages() -> tuple[Any, Any]:
    """The request and the answer (envoy/service/ratelimit/v3/rls.proto), with the fields that are used here."""
    text, number, inner = _TYPE.TYPE_STRING, _TYPE.TYPE_UINT32, _TYPE.TYPE_MESSAGE
    fields = {
        "Entry": [_field("key", 1, text), _field("value", 2, text)],
        "RateLimitDescriptor": [_field("entries", 1, inner, f".{_PACKAGE}.Entry", many=True)],
        "RateLimitRequest": [
            _field("domain", 1, text),
            _field("descriptors", 2, inner, f".{_PACKAGE}.RateLimitDescriptor", many=True),
        ],
        "RateLimit": [_field("requests_per_unit", 1, number), _field("unit", 2, number)],
        "DescriptorStatus": [
            _field("code", 1, number),
            _field("current_limit", 2, inner, f".{_PACKAGE}.RateLimit"),
            _field("limit_remaining", 3, number),
            _field("duration_until_reset", 4, inner, ".google.protobuf.Duration"),
        ],
        "RateLimitResponse": [
            _field("overall_code", 1, number),
            _field("statuses", 2, inner, f".{_PACKAGE}.DescriptorStatus", many=True),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="rls.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/duration.proto"],
        message_type=[descriptor_pb2.DescriptorProto(name=name, field=each) for name, each in fields.items()],
    )
    pool = descriptor_pool.DescriptorPool()
    duration = descriptor_pb2.FileDescriptorProto()
    duration_pb2.DESCRIPTOR.CopyToProto(duration)
    pool.Add(duration)
    pool.Add(file)
    names = ("RateLimitRequest", "RateLimitResponse")
    request, response = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names
    )
    return request, response


_REQUEST, _RESPONSE = _messages()
