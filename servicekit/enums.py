"""A service's own states and the contract's enums: the same names, the contract's in capitals and behind a prefix."""

from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from servicekit.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

S = TypeVar("S", bound=StrEnum)
V = TypeVar("V", bound=int)


class EnumNames(Generic[S, V]):
    """Translates between a service's enum and the contract's."""

    def __init__(self, own: type[S], contract: "_EnumTypeWrapper[V]", prefix: str) -> None:
        self._own = own
        self._contract = contract
        self._prefix = prefix

    def to_proto(self, member: S) -> V:
        """The value as the contract names it."""
        return self._contract.Value(f"{self._prefix}{member.name}")

    def word(self, value: V) -> str:
        """The word for a value that the contract has; "unknown" for any other."""
        known = value in self._contract.values()
        return self._contract.Name(value).removeprefix(self._prefix).lower() if known else "unknown"

    def from_proto(self, field: str, value: V) -> S | None:
        """The member that a field of a request names; None where it isn't set.

        Raises:
            InvalidRequest: the contract has no such value.
        """
        if value == 0:
            return None
        try:
            return self._own(self.word(value))
        except ValueError:
            known = ", ".join(f"{self._prefix}{member.name}" for member in self._own)
            raise InvalidRequest([Violation(field, f"must be one of {known}")]) from None
