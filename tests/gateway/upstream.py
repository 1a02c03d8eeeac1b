"""A gRPC server behind the gateway under test: every RPC of the real contracts, each answering as a test says."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

import mirage.auth.v1.account_pb2
import mirage.auth.v1.administration_pb2
import mirage.auth.v1.api_key_pb2
import mirage.auth.v1.oauth_pb2
import mirage.auth.v1.session_pb2
import mirage.auth.v1.stream_ticket_pb2
import mirage.auth.v1.token_pb2
import mirage.dataset.v1.dataset_pb2
import mirage.dataset.v1.source_pb2
import mirage.generation.v1.job_pb2
import mirage.generation.v1.model_pb2
import mirage.generation.v1.quality_pb2  # noqa: F401 - imported for the descriptors that they register
from servicekit import form_faults, limits, trace_context
from servicekit.errors import InvalidRequest
from servicekit.interceptors import status_of
from servicekit.readiness import READINESS
from servicekit.trace_context import TraceContext

# What an RPC does: takes the request, or an iterator of them, and the context; returns the answer, or an iterator.
Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its type stubs only


@dataclass
class Call:
    """One RPC that arrived, with its metadata and the requests read so far."""

    path: str
    metadata: Mapping[str, str]
    requests: list[Any] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)  # the RPC is over, however it ended


class Upstream:
    """What the services behind the gateway do in a test, and what they saw."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.calls: list[Call] = []
        self.judged: list[Call] = []  # those with faults of form, which services answer as they do here
        self.health = health.HealthServicer()
        self.server = grpc.server(
            ThreadPoolExecutor(max_workers=16),
            handlers=[_Handlers(self)],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 8 * 1024 * 1024)],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        free = "127.0.0.1:0"
        secure = credentials and self.server.add_secure_port(free, credentials)
        self.address = f"127.0.0.1:{secure or self.server.add_insecure_port(free)}"

    def on(self, path: str, behaviour: Behaviour) -> None:
        """Sets what `/package.Service/Method` does."""
        self.behaviours[path] = behaviour

    @property
    def last_call(self) -> Call:
        """The RPC that arrived last."""
        return self.calls[-1]

    def reset(self, behaviours: Mapping[str, Behaviour]) -> None:
        """Forgets the calls, and sets what the RPCs do."""
        self.behaviours = dict(behaviours)
        self.calls.clear()
        self.judged.clear()
        self.serve()

    def serve(self) -> None:
        """Tells the gateway that all is well."""
        self._tell(health_pb2.HealthCheckResponse.SERVING)

    def stop(self) -> None:
        """Ends the server at once, with every call that is running."""
        self.server.stop(grace=0).wait()

    def refuse(self) -> None:
        """Tells the gateway that requests aren't taken just now."""
        self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)

    def lack(self) -> None:
        """Tells the gateway that something that the services stand on is away; calls are still taken."""
        self.health.set(READINESS, health_pb2.HealthCheckResponse.NOT_SERVING)

    def _tell(self, status: "health_pb2.HealthCheckResponse.ServingStatus") -> None:
        for name in ("", READINESS):
            self.health.set(name, status)


class _Handlers(grpc.GenericRpcHandler):
    """Every RPC of the contracts, whatever service it belongs to."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def service(self, details: grpc.HandlerCallDetails) -> "Handler | None":
        service, _, name = details.method.lstrip("/").partition("/")
        try:
            method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
        except KeyError:
            return None
        behaviour = self._upstream.behaviours.get(details.method)
        if any(key == form_faults.HEADER for key, _ in details.invocation_metadata or ()):
            behaviour = _tell_form_faults
        if behaviour is None or not service.startswith("mirage."):
            return None
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        handler: Handler = make(
            self._recorded(details, behaviour, streams=method.client_streaming),
            request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
            response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
        )
        return handler

    def _recorded(self, details: grpc.HandlerCallDetails, behaviour: Behaviour, *, streams: bool) -> Behaviour:
        metadata = {key: value for key, value in details.invocation_metadata or () if isinstance(value, str)}

        def run(requests: Any, context: grpc.ServicerContext) -> Any:
            call = Call(details.method, metadata)
            context.add_callback(call.ended.set)
            (self._upstream.judged if behaviour is _tell_form_faults else self._upstream.calls).append(call)
            if not streams:
                call.requests.append(requests)
                return behaviour(requests, context)
            return behaviour(_remembering(requests, call.requests), context)

        return run


def _tell_form_faults(request: Any, context: grpc.ServicerContext) -> Any:
    """What a service does with a request that the gateway found faults in, as far as the contracts tell."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    place = TraceContext.parse(metadata.get(trace_context.HEADER))
    with structlog.contextvars.bound_contextvars(request_id=metadata["x-request-id"]), trace_context.at(place):
        try:
            with form_faults.joined(metadata, are_told=True):
                limits.check(request)
        except InvalidRequest as error:
            context.abort_with_status(rpc_status.to_status(status_of(error)))


def _remembering(requests: Iterator[Any], seen: list[Any]) -> Iterator[Any]:
    for request in requests:
        seen.append(request)
        yield request


@contextmanager
def running_upstream(credentials: grpc.ServerCredentials | None = None) -> Iterator[Upstream]:
    """A server that stands for all services, as long as the context lasts; by TLS where credentials are given."""
    upstream = Upstream(credentials)
    upstream.serve()
    upstream.server.start()
    try:
        yield upstream
    finally:
        upstream.stop()


def failing(code: grpc.StatusCode, reason: str, message: str, *details: Any, **metadata: str) -> Behaviour:
    """An RPC that fails the way every service of the platform does."""

    def behave(_request: Any, context: grpc.ServicerContext) -> Any:
        info = error_details_pb2.ErrorInfo(reason=reason, domain="mirage", metadata=metadata)
        context.abort_with_status(rpc_status.to_status(_status(code, message, (info, *details))))

    return behave


def _status(code: grpc.StatusCode, message: str, details: Sequence[Any]) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status
