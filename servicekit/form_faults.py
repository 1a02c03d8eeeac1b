"""What is wrong with a request's form, as the gateway found it, told together with what a service finds.

The gateway knows names and types, a service knows the rest. So that all of it is in one answer, the gateway takes what
is wrong out of a request and tells of it in a header; contracts name the RPCs that are sent such requests. Those are
judged as any others, and never carried out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import unquote

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from mirage.options.v1 import form_faults_pb2
from servicekit.errors import InvalidRequest, ServiceError, Violation

HEADER = "x-form-faults"
"""The metadata in which the gateway tells faults: a JSON list of field and description, percent-encoded."""

_faults: ContextVar[tuple[Violation, ...]] = ContextVar("form_faults", default=())


def rpcs_that_tell(service_names: Iterable[str]) -> frozenset[str]:
    """Those of some RPC services that tell faults of form, as `/package.Service/Method`."""
    pool = descriptor_pool.Default()
    services: Iterable[ServiceDescriptor] = map(pool.FindServiceByName, service_names)
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for service in services
        for method in service.methods
        if method.GetOptions().Extensions[form_faults_pb2.tells_form_faults]
    )


def conclude(violations: Iterable[Violation] = ()) -> None:
    """Ends the judging of a request: whatever comes after this, carries it out.

    Raises:
        InvalidRequest: with the violations, if there are any, or if the gateway found any.
    """
    found = tuple(violations)
    if found or _faults.get():
        raise InvalidRequest(found)


@contextmanager
def joined(metadata: Mapping[str, str], *, are_told: bool) -> Iterator[None]:
    """Serves a request that the gateway found faults in: the faults come with whatever else is found.

    Args:
        metadata: the call's, with the header.
        are_told: whether the RPC is one that tells them; another isn't even begun.

    Raises:
        InvalidRequest: in any case.
    """
    faults = _read(metadata[HEADER])
    if not are_told:
        raise InvalidRequest(faults)
    token = _faults.set(faults)
    try:
        yield
    except ServiceError as error:
        raise InvalidRequest([*faults, *_others(faults, error.violations)]) from error
    finally:
        _faults.reset(token)
    raise InvalidRequest(faults)


def are_known() -> bool:
    """Whether the request that is being served is one that the gateway found faults in."""
    return bool(_faults.get())


def _read(header: str) -> tuple[Violation, ...]:
    try:
        return tuple(Violation(str(field), str(description)) for field, description in json.loads(unquote(header)))
    except (TypeError, ValueError):
        return (Violation(HEADER, "is the gateway's to send"),)


def _others(faults: Iterable[Violation], found: Iterable[Violation]) -> Iterator[Violation]:
    """What was found beside the faults; a field that was taken out is not missing."""
    told = {fault.field for fault in faults}
    for violation in found:
        parts = violation.field.split(".")
        if not told.intersection(".".join(parts[:length]) for length in range(1, len(parts) + 1)):
            yield violation
