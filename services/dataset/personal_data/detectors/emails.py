"""E-mail addresses."""

import re
from collections.abc import Iterator

from services.dataset.personal_data.confidence import Test
from services.dataset.personal_data.evidence import Evidence, Hints, weigh
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample

# A few are enough: who has one address of a person in a column has personal data in it.
_TEST = Test(strength=0.99, enough=0.1)
# RFC 5321's dot-atom with the letters of RFC 6531, and a domain with a top level of letters. Every part is bounded and
# no two parts can take the same character, so that matching takes linear time.
_LOCAL = r"[\w!#$%&'*+/=?^`{|}~-]{1,64}(?:\.[\w!#$%&'*+/=?^`{|}~-]{1,64}){0,10}"
_LABEL = r"[^\W_](?:[\w-]{0,61})"
_ADDRESS = re.compile(
    rf"(?:mailto:)?{_LOCAL}@(?:{_LABEL}\.){{1,8}}(?:[^\W\d_]{{2,24}}|xn--[a-z0-9-]{{2,40}})", re.IGNORECASE
)
_LONGEST = 254
_NAMED = re.compile(r"[^<>@]{0,100}<([^<>]{3,254})>")


def examine(sample: Sample, hints: Hints) -> Iterator[Evidence]:
    """Values that are one e-mail address, with or without the person's name before it."""
    if sample.whole_numbers:
        return
    matching = sum(_is_address(value) for value in sample.values if "@" in value)
    if matching:
        yield from weigh(Kind.EMAIL, sample, hints.get(Kind.EMAIL), _TEST, matching=matching)


def _is_address(text: str) -> bool:
    if named := _NAMED.fullmatch(text):
        text = named.group(1)
    return len(text) <= _LONGEST and _ADDRESS.fullmatch(text) is not None
