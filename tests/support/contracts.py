"""The contracts as data: every RPC that Mirage has, for tests that walk all of them."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

ROOT = Path(__file__).resolve().parents[2]


def services() -> list[ServiceDescriptor]:
    """Every RPC service of the platform, by name."""
    found: list[ServiceDescriptor] = []
    for path in sorted((ROOT / "protos").rglob("*.proto")):
        relative = path.relative_to(ROOT / "protos")
        importlib.import_module(".".join((*relative.parent.parts, f"{relative.stem}_pb2")))
        found.extend(descriptor_pool.Default().FindFileByName(str(relative)).services_by_name.values())
    return found


def methods() -> Iterator[MethodDescriptor]:
    """Every RPC of the platform."""
    for service in services():
        yield from service.methods


def path_of(method: MethodDescriptor) -> str:
    """The RPC's path on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"


def answering_nothing(service: ServiceDescriptor) -> grpc.GenericRpcHandler:
    """Handlers that answer every RPC of a service with an empty message, whatever kind it is."""
    return grpc.method_handlers_generic_handler(
        service.full_name, {method.name: _handler(method) for method in service.methods}
    )


def call_of(channel: grpc.aio.Channel, method: MethodDescriptor) -> Callable[..., Any]:
    """A function that calls an RPC with an empty request and a token, and returns when it has answered.

    Other metadata can be given behind the token.
    """
    request = message_factory.GetMessageClass(method.input_type)
    response = message_factory.GetMessageClass(method.output_type)
    kind = f"{_arity(method.client_streaming)}_{_arity(method.server_streaming)}"
    stub = getattr(channel, kind)(
        path_of(method), request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )

    async def call(token: str, others: tuple[tuple[str, str], ...] = ()) -> None:
        metadata = ((("authorization", f"Bearer {token}"),) if token else ()) + others
        argument = iter([request()]) if method.client_streaming else request()
        running = stub(argument, metadata=metadata, timeout=20)
        if method.server_streaming:
            async for _ in running:  # one answer tells that the caller was let in; some streams never end
                running.cancel()
                break
        else:
            await running

    return call


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _handler(method: MethodDescriptor) -> Any:
    request = message_factory.GetMessageClass(method.input_type)
    response = message_factory.GetMessageClass(method.output_type)

    async def unary(_request: Any, _context: Any) -> Any:
        return response()

    async def stream(_request: Any, _context: Any) -> Any:
        yield response()

    kind = f"{_arity(method.client_streaming)}_{_arity(method.server_streaming)}"
    return getattr(grpc, f"{kind}_rpc_method_handler")(
        stream if method.server_streaming else unary,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )
