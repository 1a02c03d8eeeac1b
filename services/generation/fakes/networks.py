"""Network addresses that belong to nobody: those reserved for documentation, then those for tests and inside use."""

from ipaddress import IPv6Address
from typing import Final

import numpy as np

from services.generation.fakes.settling import Places

# RFC 5737.
_DOCUMENTATION: Final = ("192.0.2.", "198.51.100.", "203.0.113.")
# Of the 762 of them; more would take long to find.
MOST_OF_DOCUMENTATION: Final = 256
_IPV6_DOCUMENTATION: Final = 0x20010DB8 << 96  # RFC 3849


class Networks:
    """Draws addresses: of version 6 in the share that the source has."""

    def __init__(self, count: int, share_v6: float, draws: np.random.Generator) -> None:
        """`count` is how many there are to be."""
        self._few = count <= MOST_OF_DOCUMENTATION
        self._v6 = draws.random(count) < share_v6
        self._draws = draws

    def drawn(self, places: Places, attempt: int) -> list[str]:
        """Addresses for these places; of ever larger blocks where small ones are used up."""
        return [self._address(v6=bool(self._v6[place]), attempt=attempt) for place in places]

    def _address(self, *, v6: bool, attempt: int) -> str:
        if v6:
            low, high = self._draws.integers(2**63, size=2).tolist()
            return str(IPv6Address(_IPV6_DOCUMENTATION | (high % 2**32) << 64 | low))
        number = int(self._draws.integers(2**24))
        if self._few and attempt < 3:
            return _DOCUMENTATION[number % 3] + str(1 + (number >> 8) % 254)
        if attempt < 6:
            # RFC 2544: for measuring networks.
            return f"198.{18 + (number >> 16 & 1)}.{number >> 8 & 255}.{number & 255}"
        return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
