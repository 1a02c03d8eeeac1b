"""What a column of strings or integers is taken for, judged by its name and by how its values repeat."""

import re
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from servicekit.column_types import ColumnType
from services.dataset.ingestion.staging import Relation, counted, one_row
from services.dataset.ingestion.storage import Storage

FEW = 20
"""So many different values are few in any table."""
MOST_CATEGORIES = 1_000
"""More different strings than these are text."""
_LONGEST_CATEGORY = 200  # mean characters; what is longer is prose, however often it repeats
_IDENTIFIER_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|key|rowid)($|[_\W])|^(index|idx)$", re.IGNORECASE)
_CAMEL_NAME = re.compile(r"[a-z0-9](Id|ID|Uuid|UUID|Guid|GUID|Key)$")
_HAS_SPACE = r"regexp_matches(v, '\s')"
_IS_UUID = "regexp_full_match(v, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')"


@dataclass(frozen=True)
class Facts:
    """What is counted of a column of strings or integers, missing values aside."""

    rows: int
    count: int
    distinct: int
    minimum: int | None = None  # of integers
    maximum: int | None = None
    with_spaces: int = 0  # strings with white space inside
    uuids: int = 0
    mean_length: float = 0.0  # characters


def judge(relation: Relation, name: str, storage: Storage) -> ColumnType:
    """What a column is taken for."""
    if storage.type is not None:
        return storage.type
    connection = relation.connection
    column = f"(SELECT {storage.value} AS v FROM {relation.of(storage.position)})"
    if pa.types.is_integer(storage.arrow):
        found = one_row(connection, f"SELECT count(*), count(v), min(v), max(v) FROM {column}")
        rows, count, minimum, maximum = found
        facts = Facts(rows, count, _distinct(connection, column), minimum, maximum)
        return _integers(name, facts)
    found = one_row(
        connection,
        f"SELECT count(*), count(v), {counted(_HAS_SPACE)}, {counted(_IS_UUID)}, avg(length(v)) FROM {column}",
    )
    rows, count, with_spaces, uuids, mean_length = found
    distinct = _distinct(connection, column)
    facts = Facts(rows, count, distinct, with_spaces=with_spaces, uuids=uuids, mean_length=mean_length or 0.0)
    return _strings(name, facts)


def _strings(name: str, facts: Facts) -> ColumnType:
    """Different for every row: identifiers, unless they are prose. Few: categories. Text otherwise."""
    if facts.count == 0:
        return ColumnType.CATEGORICAL
    if facts.distinct == facts.count > 1:
        unmistakable = facts.uuids == facts.count or (names_an_identifier(name) and not facts.with_spaces)
        if unmistakable or (facts.count > FEW and not facts.with_spaces):
            return ColumnType.IDENTIFIER
    if facts.mean_length > _LONGEST_CATEGORY:
        return ColumnType.TEXT
    if facts.distinct <= FEW or (facts.distinct <= MOST_CATEGORIES and facts.distinct <= facts.count / 2):
        return ColumnType.CATEGORICAL
    return ColumnType.TEXT


def _integers(name: str, facts: Facts) -> ColumnType:
    """Integers are integers, unless they number the rows or are called an identifier and never repeat."""
    if facts.count < 2 or facts.distinct != facts.rows or facts.minimum is None or facts.maximum is None:
        return ColumnType.INTEGER
    numbers_rows = facts.minimum in (0, 1) and facts.maximum - facts.minimum + 1 == facts.rows > FEW
    return ColumnType.IDENTIFIER if numbers_rows or names_an_identifier(name) else ColumnType.INTEGER


def names_an_identifier(name: str) -> bool:
    """Whether a column is called what identifiers are called: `id`, `customer_id`, `customerId`, `uuid` and so on."""
    return bool(_IDENTIFIER_NAME.search(name) or _CAMEL_NAME.search(name))


def _distinct(connection: duckdb.DuckDBPyConnection, column: str) -> int:
    # As a subquery rather than count(DISTINCT v): so it can work on disk where memory is short.
    [distinct] = one_row(connection, f"SELECT count(*) FROM (SELECT DISTINCT v FROM {column} WHERE v IS NOT NULL)")
    return int(distinct)
