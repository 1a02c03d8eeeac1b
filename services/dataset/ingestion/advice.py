"""What a user should know before learning from a table, told from its profile."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from servicekit.column_types import ColumnType
from services.dataset.ingestion.faults import named
from services.dataset.ingestion.values import EXACT_QUANTILE_ROWS

FEW_ROWS = 100
_MANY_CATEGORIES = 100
_MOSTLY_MISSING = 0.5
_MANY_DUPLICATES = 0.05
_MOST_NAMES = 20

Profile = Mapping[str, Any]


def advice(profiles: Sequence[Profile], rows: int, duplicates: int) -> Iterator[str]:
    """Warnings, one for each thing that is noticed, naming the columns that it concerns."""
    if rows < FEW_ROWS:
        yield f"The table has very few rows ({rows:,}): a model learns little from fewer than {FEW_ROWS}."
    if duplicates > _MANY_DUPLICATES * rows:
        yield f"{duplicates:,} of {rows:,} rows ({duplicates / rows:.0%}) repeat an earlier row."
    if rows > EXACT_QUANTILE_ROWS:
        yield "The table is very large: quantiles are estimates."
    noticed = {
        "No value is there in": [profile for profile in profiles if profile["count"] == 0],
        "More than half of the values are missing in": [
            profile for profile in profiles if _MOSTLY_MISSING < profile["missing_fraction"] < 1
        ],
        "Every value is the same in": [
            profile
            for profile in profiles
            if profile["distinct_count"] == 1 and profile["missing_count"] == 0 and rows > 1
        ],
        f"More than {_MANY_CATEGORIES} different values, many for categories, are in": [
            profile
            for profile in profiles
            if profile["type"] == ColumnType.CATEGORICAL and profile["distinct_count"] > _MANY_CATEGORIES
        ],
        "Values that are (nearly) all different, and so look like an identifier, are in": [
            profile for profile in profiles if _looks_like_an_identifier(profile)
        ],
    }
    for text, concerned in noticed.items():
        if concerned:
            yield f"{text} {named([str(profile['name']) for profile in concerned], _MOST_NAMES)}."


def _looks_like_an_identifier(profile: Profile) -> bool:
    """Identifiers themselves too: nothing can be learned from them."""
    if profile["type"] == ColumnType.IDENTIFIER:
        return True
    return profile["type"] in (ColumnType.CATEGORICAL, ColumnType.TEXT) and (
        profile["distinct_count"] > max(50, 0.95 * profile["count"])
    )
