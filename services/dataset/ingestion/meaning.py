"""What a column of strings or integers is taken for, judged by its name and by how its values repeat."""

import re

import pyarrow as pa

from servicekit.column_types import ColumnType
from services.dataset.ingestion.values import QueriedValues, Values

FEW = 20
"""So many different values are few in any table."""
MOST_CATEGORIES = 1_000
"""More different strings than these are text."""
_LONGEST_CATEGORY = 200  # mean characters; what is longer is prose, however often it repeats
_IDENTIFIER_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|key|rowid)($|[_\W])|^(index|idx)$", re.IGNORECASE)
_CAMEL_NAME = re.compile(r"[a-z0-9](Id|ID|Uuid|UUID|Guid|GUID|Key)$")


def judge(name: str, values: Values, strings: QueriedValues) -> ColumnType:
    """What a column of strings or integers is taken for. `strings` are the same values, where these are strings."""
    return _integers(name, values) if pa.types.is_integer(values.kind) else _strings(name, strings)


def _strings(name: str, values: QueriedValues) -> ColumnType:
    """Different for every row: identifiers, unless they are prose. Few, but for remarks: categories. Text otherwise."""
    lengths = values.lengths
    if lengths is None:
        return ColumnType.CATEGORICAL
    if values.distinct == values.count > 1:
        tell_apart = values.count > FEW or names_an_identifier(name)
        if (tell_apart and not values.with_spaces()) or values.uuids() == values.count:
            return ColumnType.IDENTIFIER
    if lengths.mean > _LONGEST_CATEGORY:
        return ColumnType.TEXT
    if values.distinct <= FEW:
        return ColumnType.CATEGORICAL
    if values.distinct > MOST_CATEGORIES or values.distinct > values.count / 2:
        return ColumnType.TEXT
    # A category is learnt and given out as it is. A remark that somebody wrote once, among many rows that say “none”,
    # is no category: it may tell who it is about.
    return ColumnType.TEXT if values.lone_sentences() > FEW else ColumnType.CATEGORICAL


def _integers(name: str, values: Values) -> ColumnType:
    """Integers are integers, unless they number the rows or are called an identifier and never repeat."""
    extremes = values.whole_extremes
    if values.count < 2 or values.distinct != values.rows or extremes is None:
        return ColumnType.INTEGER
    minimum, maximum = extremes
    numbers_rows = minimum in (0, 1) and maximum - minimum + 1 == values.rows > FEW
    return ColumnType.IDENTIFIER if numbers_rows or names_an_identifier(name) else ColumnType.INTEGER


def names_an_identifier(name: str) -> bool:
    """Whether a column is called what identifiers are called: `id`, `customer_id`, `customerId`, `uuid` and so on."""
    return bool(_IDENTIFIER_NAME.search(name) or _CAMEL_NAME.search(name))
