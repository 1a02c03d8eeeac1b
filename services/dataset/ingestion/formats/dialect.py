"""How a CSV file separates and quotes its cells, and whether it has a header: judged by its first rows."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from servicekit.tabular.csv import AMBIGUOUS_PATTERN, SPECIAL_PATTERN, is_plain_name
from servicekit.tabular.text import MISSING_TOKENS, NUMBER_PATTERN, WORDS_PATTERN
from services.dataset.ingestion.faults import unreadable

DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"  # for files of one column: nothing separates anything
_SAMPLE_RECORDS = 1_000
# Above a header some programs write a title. If nearly all other lines agree on more columns, line 1 is such a line.
_AGREEMENT = 0.9
_NUMBER = re.compile(NUMBER_PATTERN)
_WORD = re.compile(WORDS_PATTERN)
_NEEDS_QUOTES = re.compile(f"{SPECIAL_PATTERN}|{AMBIGUOUS_PATTERN}")
_MOMENT = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}.*|\d{1,2}[./-]\d{1,2}[./-]\d{4}.*")


class Cell(NamedTuple):
    """A cell as it stands in the file."""

    text: str
    quoted: bool


Record = list[Cell]


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    delimiter: str
    escape: str | None  # the backslash, where it and not a second quote stands before a quote
    header: list[str] | None  # None: the first line is data
    columns: int
    skip_space: bool  # whether a space after the delimiter belongs to it
    quotes_all: bool  # whether quotes mean nothing, being everywhere
    quoted_columns: frozenset[int]  # columns that are quoted in a file that doesn't quote everything: text
    header_alone: bool  # whether nothing follows the header
    preamble: int  # characters before the first record, such as Excel's `sep=;` line


def detect(sample: str, *, whole: bool) -> Dialect:
    """Judges by the beginning of a file; `whole` says whether it is all of it.

    Raises:
        Fault: what stands above the table keeps it from being read.
    """
    named = re.match(r"sep=(.)\r?\n", sample, re.IGNORECASE)
    preamble = named.end() if named else 0
    body = sample[preamble:]
    if named:
        delimiter, escape = named[1], _escape(body, named[1], whole=whole)
    else:
        delimiter, escape = _separators(body, whole=whole)
    records = _records(body, delimiter, escape, whole=whole)
    first, rest = records[0], records[1:]
    has_header = _is_header(first, rest)
    data = rest if has_header else records
    quotes_all = all(cell.quoted for record in data for cell in record if cell.text)
    return Dialect(
        delimiter=delimiter,
        escape=escape,
        header=[cell.text for cell in first] if has_header else None,
        columns=len(first),
        skip_space=_skips_space(data),
        quotes_all=quotes_all,
        quoted_columns=frozenset()
        if quotes_all
        else frozenset(_quoted_columns(data, len(first), sparing=_spares_quotes(first if has_header else [], data))),
        header_alone=has_header and not rest and whole,
        preamble=preamble,
    )


def _separators(body: str, *, whole: bool) -> tuple[str, str | None]:
    """The delimiter and the escape character by which most records have as many cells as the first, and many."""
    best: tuple[float, int, int, str, str | None] | None = None
    below_first = 0  # cells of nearly all lines but the first, which has one
    for rank, delimiter in enumerate(DELIMITERS):
        for escape in (None, "\\") if '\\"' in body else (None,):
            records = _records(body, delimiter, escape, whole=whole)
            counts = Counter(map(len, records))
            columns = len(records[0])
            if columns == 1:
                most, agreeing = counts.most_common(1)[0]
                if most > 1 and len(records) > 2 and agreeing >= _AGREEMENT * len(records):
                    below_first = below_first or most
                continue
            score = (counts[columns] / len(records), columns, -rank - (escape is not None) * 10, delimiter, escape)
            if best is None or score[:3] > best[:3]:
                best = score
    # Not where another delimiter suits all lines: commas may stand in the numbers of every line but the header.
    if below_first and (best is None or best[0] < _AGREEMENT):
        raise unreadable(
            f"Line 1 has 1 cell but the lines below have {below_first}: remove what stands above the header."
        )
    return (best[3], best[4]) if best else (_NO_DELIMITER, None)


def _escape(body: str, delimiter: str, *, whole: bool) -> str | None:
    if '\\"' not in body:
        return None

    def agreement(escape: str | None) -> float:
        records = _records(body, delimiter, escape, whole=whole)
        return sum(len(record) == len(records[0]) for record in records) / len(records)

    return "\\" if agreement("\\") > agreement(None) else None


def _records(body: str, delimiter: str, escape: str | None, *, whole: bool) -> list[Record]:
    """The first records; the last one of a cut sample is left out, for it may be cut too."""
    records = []
    for record in _parse(body, delimiter, escape):
        records.append(record)
        if len(records) > _SAMPLE_RECORDS:
            break
    if (not whole or len(records) > _SAMPLE_RECORDS) and len(records) > 1:
        records.pop()
    return records or [[Cell("", quoted=False)]]


def _parse(body: str, delimiter: str, escape: str | None) -> Iterator[Record]:
    """Splits text into records and cells as RFC 4180 says; empty lines are none."""
    inside = r'(?:[^"\\]|\\.|"")*' if escape else r'(?:[^"]|"")*'
    pattern = re.compile(
        rf'(?:"(?P<quoted>{inside})"(?P<tail>[^{re.escape(delimiter)}\r\n]*)|(?P<plain>[^{re.escape(delimiter)}\r\n]*))'
        rf"(?P<end>{re.escape(delimiter)}|\r\n|\n|\r|\Z)",
        re.DOTALL,
    )
    record: Record = []
    for match in pattern.finditer(body):
        quoted = match["quoted"]
        if quoted is None:
            record.append(Cell(match["plain"], quoted=False))
        else:
            text = quoted.replace('\\"', '"') if escape else quoted
            record.append(Cell(text.replace('""', '"') + match["tail"], quoted=True))
        if match["end"] != delimiter:
            if record != [Cell("", quoted=False)]:
                yield record
            record = []
            if not match["end"]:
                return


def _is_header(first: Record, rest: Sequence[Record]) -> bool:
    """Whether the first record names the columns.

    It doesn't where columns of numbers or dates begin with one and none begins with anything else. Rising years or
    numbers, as in `country,2010,2011`, are names all the same.
    """
    data_like = []
    for position, cell in enumerate(first):
        below = [record[position].text for record in rest if position < len(record)]
        values = [text.strip() for text in below if text.strip() and text.strip() not in MISSING_TOKENS]
        for kind in (_NUMBER, _MOMENT):
            if values and all(kind.fullmatch(value) for value in values):
                if not kind.fullmatch(cell.text.strip()):
                    return True
                if cell.quoted and not any(record[position].quoted for record in rest if position < len(record)):
                    return True
                data_like.append(cell.text.strip())
                break
    return not data_like or _is_series(data_like)


def _is_series(cells: Sequence[str]) -> bool:
    """Whether cells of a first line rise by even steps: from year to year, or one by one."""
    if len(cells) < 2 or not all(cell.isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    if len(steps) > 1 or min(steps) < 1:
        return False
    return all(1800 <= number <= 2200 for number in numbers) or (steps == {1} and len(cells) > 2)


def _skips_space(data: Sequence[Record]) -> bool:
    cells = [cell.text for record in data for cell in record[1:] if cell.text and not cell.quoted]
    return bool(cells) and sum(text.startswith(" ") for text in cells) >= 0.95 * len(cells)


def _spares_quotes(header: Record, data: Sequence[Record]) -> bool:
    """Whether only those cells are quoted that would be taken for something else, as Mirage itself does."""
    return not any(
        cell.quoted and is_plain_name(cell.text) and not _NEEDS_QUOTES.search(cell.text) for cell in header
    ) and all(_NEEDS_QUOTES.search(cell.text) for record in data for cell in record if cell.quoted)


def _quoted_columns(data: Sequence[Record], columns: int, *, sparing: bool) -> Iterator[int]:
    for position in range(columns):
        cells = [record[position] for record in data if position < len(record) and record[position].text]
        # Only what looks like a number must be quoted to be text; other cells are text anyway. Words like true say so
        # only where not every word is quoted.
        alike = [
            cell.quoted for cell in cells if _NUMBER.fullmatch(cell.text) or (sparing and _WORD.fullmatch(cell.text))
        ]
        if alike and all(alike):
            yield position
