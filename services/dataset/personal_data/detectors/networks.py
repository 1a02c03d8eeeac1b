"""IP addresses."""

import ipaddress
from collections.abc import Iterator

from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.evidence import Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample

_TEST = Test(strength=0.95, enough=0.5)
_LONGEST = 45  # characters: IPv6 with an IPv4 in it
# Versions (1.12.3.4) have four small numbers; of addresses drawn by chance one in 300 has none beyond.
_LARGEST_OF_A_VERSION = 60


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are an address of IPv4 or IPv6; what may be a version number counts only with others."""
    if sample.whole_numbers:
        return
    found = [address for value in sample.values if (address := _address(value)) is not None]
    if found:
        certain = sum(not _may_be_a_version(address) for address in found)
        # Addresses with small numbers only are part of any column of them, which shows by the others.
        matching = len(found) if certain * 2 >= len(found) else certain
        hint = hints.get(Kind.IP_ADDRESS)
        yield from weigh(Kind.IP_ADDRESS, sample, hint, _TEST, matching=matching, looking=len(found))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if len(text) > _LONGEST or not (text.count(".") == 3 or text.count(":") >= 2):
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _may_be_a_version(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(address, ipaddress.IPv4Address) and max(address.packed) <= _LARGEST_OF_A_VERSION
