"""What speaks for one kind of personal data in one column."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from services.dataset.personal_data.column_names import Hint
from services.dataset.personal_data.confidence import Test, combined, value_confidence
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample

PATTERN, CHECKSUM, KNOWN_VALUES = "pattern", "checksum", "known values"
COLUMN_NAME, OTHER_COLUMNS = "column name", "other columns"

Hints: TypeAlias = Mapping[Kind, Hint]
Votes: TypeAlias = Mapping[str, float]
"""How many of the values (or parts of one) speak for each locale."""


@dataclass(frozen=True)
class Evidence:
    """One kind that a column may hold."""

    kind: Kind
    confidence: float
    matching_share: float
    sources: tuple[str, ...]
    votes: Votes = field(default_factory=dict)
    of_a_country: bool = False  # whether the votes come from the values' own country, not only from a language


Detector: TypeAlias = Callable[[Sample, Hints], Iterator[Evidence]]


def weigh(
    kind: Kind,
    sample: Sample,
    hint: Hint | None,
    test: Test,
    *,
    matching: int,
    looking: int = 0,
    by: tuple[str, ...] = (PATTERN,),
    votes: Votes | None = None,
    of_a_country: bool = False,
) -> Iterator[Evidence]:
    """The evidence for a kind, if there is any.

    Args:
        kind: the kind.
        sample: the column's values.
        hint: what the column's name says, if it speaks of the kind.
        test: how well matching values tell the kind.
        matching: values that pass the test.
        looking: values that at least look like the kind, which counts only with a name that says so.
        by: what the test goes by.
        votes: locales that the values speak for.
        of_a_country: whether these come from the values' own country.
    """
    examined = len(sample.values)
    looking_share = max(matching, looking) / examined
    from_values = value_confidence(test, matching, examined)
    from_name = hint.confidence * looking_share if hint else 0.0
    confidence = combined(from_values, from_name)
    if confidence > 0.0:
        told_by_values = from_values >= from_name
        sources = by if told_by_values or matching * 2 >= examined else (PATTERN,)
        yield Evidence(
            kind=kind,
            confidence=confidence,
            matching_share=matching / examined if told_by_values else looking_share,
            sources=(*sources, COLUMN_NAME) if from_name else sources,
            votes=votes or {},
            of_a_country=of_a_country,
        )
