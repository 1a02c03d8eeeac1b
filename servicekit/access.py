"""Who may call an RPC, as its contract says."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from mirage.options.v1 import access_pb2


class Role(StrEnum):
    """The role in a token."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


# An administrator is a user as well; a service is neither.
_HELD: Mapping[Role | None, frozenset[int]] = {
    None: frozenset({access_pb2.ROLE_ANYONE}),
    Role.USER: frozenset({access_pb2.ROLE_ANYONE, access_pb2.ROLE_USER}),
    Role.ADMINISTRATOR: frozenset({access_pb2.ROLE_ANYONE, access_pb2.ROLE_USER, access_pb2.ROLE_ADMINISTRATOR}),
    Role.SERVICE: frozenset({access_pb2.ROLE_ANYONE, access_pb2.ROLE_SERVICE}),
}

# What grpcio's own health and reflection servicers offer; they carry no option of ours.
_INFRASTRUCTURE = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")


class AccessRules:
    """The access rules of some RPC services, read from their contracts."""

    def __init__(self, service_names: Iterable[str]) -> None:
        pool = descriptor_pool.Default()
        self._allowed: dict[str, frozenset[int]] = {}
        self._scopes: dict[str, frozenset[str]] = {}
        for name in service_names:
            service: ServiceDescriptor = pool.FindServiceByName(name)
            for method in service.methods:
                access = method.GetOptions().Extensions[access_pb2.access]
                self._allowed[f"/{name}/{method.name}"] = frozenset(access.roles)
                self._scopes[f"/{name}/{method.name}"] = frozenset(access.scopes)

    def may_call(self, method: str, role: Role | None) -> bool:
        """Whether a caller with this role (None: nobody signed in) may call `/package.Service/Method`.

        An RPC that isn't known, or whose contract names no role, is refused to everybody.
        """
        if method.startswith(_INFRASTRUCTURE):
            return True
        return bool(self._allowed.get(method, frozenset()) & _HELD[role])

    def scopes_for(self, method: str) -> frozenset[str]:
        """What a token with limits needs one of; none: only a token without limits may make the call."""
        return self._scopes.get(method, frozenset())

    def is_open(self, method: str) -> bool:
        """Whether the RPC needs no token."""
        return self.may_call(method, None)
