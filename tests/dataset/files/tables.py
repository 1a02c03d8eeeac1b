"""Any table: of text, numbers, dates, booleans and gaps, under any names."""

from datetime import UTC, date, datetime

import pyarrow as pa
from hypothesis import strategies as st

_MOST_ROWS = 8
# Text that no file of text holds: halves of characters, and control characters but for tabs and line ends.
_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r")
_WORDS = st.text(_CHARACTERS, max_size=8) | st.sampled_from(
    [
        "",
        "NA",
        "null",
        "-",
        "?",
        "0",
        "007",
        "1.5",
        "true",
        "False",
        "inf",
        '"',
        'a "b", c',
        "=1+1",
        "a;b",
        " x ",
        "\\",
        "\\n",
    ]
)
_NAMES = st.text(_CHARACTERS, min_size=1, max_size=6) | st.sampled_from(
    ["1", "2020-01-01", "[a", "{", "<html>", "PAR1", "sep=;", "a,b", 'q"q', "NA", "true", "a.b", "名前"]
)
_CELLS = {
    pa.string(): _WORDS,
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.date32(): st.dates(date(1, 1, 1)),
    pa.timestamp("us"): st.datetimes(datetime(1, 1, 1)),  # noqa: DTZ001
    pa.timestamp("us", "UTC"): st.datetimes(datetime(1, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001
    pa.bool_(): st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A numbered table of columns of any kind; in each something is there, which tells its type."""
    rows = draw(st.integers(1, _MOST_ROWS))
    names = draw(st.lists(_NAMES.filter(lambda name: name == name.strip() != "row"), max_size=5, unique=True))
    columns = {"row": pa.array(range(rows))}
    for name in names:
        kind = draw(st.sampled_from(list(_CELLS)))
        cells = draw(st.lists(st.none() | _CELLS[kind], min_size=rows, max_size=rows).filter(_tells))
        columns[name] = pa.array(cells, kind)
    return pa.table(columns)


def _tells(cells: list[object]) -> bool:
    return any(cell is not None for cell in cells)
