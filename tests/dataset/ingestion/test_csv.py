"""CSV of any usual kind."""

import gzip

import pyarrow as pa
import pytest

from services.dataset.ingestion.faults import Fault, Reason
from services.dataset.ingestion.tasks import Limits
from tests.dataset.ingestion.conftest import Ingest

ROWS = [("1", "Ann", "2.5"), ("2", "Bob, Jr.", ""), ("3", 'say "hi"', "4.0")]


def _written(delimiter: str, line_end: str = "\n") -> str:
    lines = [delimiter.join(("number", "name", "score"))]
    for number, name, score in ROWS:
        cell = '"' + name.replace('"', '""') + '"' if any(sign in name for sign in f'{delimiter}"') else name
        lines.append(delimiter.join((number, cell, score)))
    return line_end.join(lines) + line_end


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(read: Ingest, delimiter: str, line_end: str) -> None:
    """Every usual delimiter and line end is told from the file itself."""
    found = read(_written(delimiter, line_end))
    assert found.outcome.source_format == "csv"
    assert found.table.to_pydict() == {
        "number": [1, 2, 3],
        "name": ["Ann", "Bob, Jr.", 'say "hi"'],
        "score": [2.5, None, 4.0],
    }
    assert found.table.schema.field("number").type == pa.int64()


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32", b""),
    ],
)
def test_unicode_encodings(read: Ingest, encoding: str, mark: bytes) -> None:
    """Unicode in any form is read, its byte order mark being no part of the first name."""
    text = "city,people\nZürich,3\n東京,4\nlots of plain text to look Latin,5\n"
    found = read(mark + text.encode(encoding))
    assert found.table.column_names == ["city", "people"]
    assert found.table["city"].to_pylist()[:2] == ["Zürich", "東京"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_legacy_encodings(read: Ingest, encoding: str) -> None:
    """Western text from before Unicode is read, and the user is told what was assumed."""
    extra = "5 €" if encoding == "cp1252" else "5 Fr"
    text = f"stadt;straße;preis\nMünchen;Müllerstraße;{extra}\nKöln;Große Allee;{extra}\nBesançon;Évêché;{extra}\n"
    found = read(text.encode(encoding))
    assert found.table["straße"].to_pylist() == ["Müllerstraße", "Große Allee", "Évêché"]
    assert found.table["preis"].to_pylist() == [extra] * 3
    assert any("isn't in UTF-8" in note for note in found.outcome.notes)


def test_gzip_is_taken_off(read: Ingest) -> None:
    """A packed text file is unpacked, within limits."""
    assert read(gzip.compress(_written(",").encode())).table.num_rows == 3
    bomb = gzip.compress(b"a,b\n" + b"0,0\n" * 6_000_000)
    with pytest.raises(Fault) as fault:
        read(bomb)
    assert fault.value.reason is Reason.UNPACKS_TOO_LARGE


def test_missing_values(read: Ingest) -> None:
    """Nothing, and the usual signs for nothing, are missing; in quotes they are text."""
    found = read('a,b,c\n1,NA,"NA"\n,x,\n3,null,""\nNaN,y,d\n')
    assert found.table.to_pydict() == {
        "a": [1, None, 3, None],
        "b": [None, "x", None, "y"],
        "c": ["NA", None, "", "d"],
    }


def test_quotes_everywhere_mean_nothing(read: Ingest) -> None:
    """In a file that quotes every cell, numbers are numbers and empty cells are missing."""
    found = read('"a","b"\n"1","x"\n"","NA"\n"3","y"\n')
    assert found.table.to_pydict() == {"a": [1, None, 3], "b": ["x", None, "y"]}


def test_signs_for_missing_among_numbers(read: Ingest) -> None:
    """A question mark or a dash among numbers is a missing number; among words it is a word."""
    found = read("a,b\n1,x\n?,?\n-,-\n2,y\n")
    assert found.table.to_pydict() == {"a": [1, None, None, 2], "b": ["x", "?", "-", "y"]}


def test_names_are_settled(read: Ingest) -> None:
    """Missing and repeated names are replaced, told, and an unnamed empty column is left out."""
    found = read("a,,a,\n1,2,3,\n4,5,6,\n")
    assert found.table.column_names == ["a", "column_2", "a_2"]
    assert len(found.outcome.notes) == 3


def test_names_differing_in_case_and_odd_names(read: Ingest) -> None:
    """Names are kept as they are: in any case, with dots, quotes and signs of any script."""
    names = ["a", "A", "a.b", 'q"q', "über", "c0", "select"]
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    found = read(f"{quoted}\n1,2,3,4,5,6,7\n8,9,10,11,12,13,14\n")
    assert found.table.column_names == names
    assert found.table["A"].to_pylist() == [2, 9]


def test_no_header(read: Ingest) -> None:
    """A first line that looks like data is data, and the columns get names."""
    found = read("39, State-gov, 2174\n50, Private, 0\n38, Private, 0\n")
    assert found.table.to_pydict() == {
        "column_1": [39, 50, 38],
        "column_2": ["State-gov", "Private", "Private"],
        "column_3": [2174, 0, 0],
    }


def test_years_can_be_names(read: Ingest) -> None:
    """Rising numbers in the first line are names."""
    assert read("country,2010,2011\nFrance,1.5,2.5\nChad,3,4\n").table.column_names == ["country", "2010", "2011"]


def test_excels_sep_line(read: Ingest) -> None:
    """Excel's own way to name the delimiter is understood."""
    found = read("sep=|\r\na|b\r\n1|x,y\r\n")
    assert found.table.to_pydict() == {"a": [1], "b": ["x,y"]}


def test_one_column(read: Ingest) -> None:
    """A file of one column needs no delimiter."""
    assert read("word\nhello\nworld, again\n").table.to_pydict() == {"word": ["hello", "world, again"]}


def test_backslash_escapes(read: Ingest) -> None:
    """Quotes escaped by a backslash, as MySQL writes them, are understood."""
    found = read('a,b\n"say \\"hi, you\\"",1\n"x",2\n')
    assert found.table["a"].to_pylist() == ['say "hi, you"', "x"]


def test_a_short_line_is_named(read: Ingest) -> None:
    """A line with too few cells is told by its number in the file, whatever stands above it."""
    with pytest.raises(Fault, match=r"Line 6 has 1 cell where the header has 2") as fault:
        read('a,b\n"two\nlines",2\n\n3,4\n5\n6,7\n')
    assert fault.value.reason is Reason.UNREADABLE


def test_an_open_quote_is_named(read: Ingest) -> None:
    """A quote that is never closed is told by the line in which it opens."""
    with pytest.raises(Fault, match=r"begins in line 3 .* a quote is opened"):
        read('a,b\n1,2\n"3,4\n5,6\n7,8\n9,10\n')
    with pytest.raises(Fault, match=r"for 5 lines to the end of the file: probably a quote is opened"):
        read('a,b\n1,2\n3,"4\n5,6\n7,8\n9,10\n')


def test_a_title_above_the_header_is_told(read: Ingest) -> None:
    """A line that is no part of the table is told, rather than read as a table of one column."""
    with pytest.raises(Fault, match=r"Line 1 has 1 cell but the lines below have 3"):
        read("My report\na,b,c\n" + "1,2,3\n" * 20)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_commas_in_every_number(read: Ingest, delimiter: str) -> None:
    """Decimal commas in every line but the header don't make the header a title."""
    lines = ["name;price;note", *(f"x{row};{row},5;y" for row in range(20))]
    found = read("\n".join(lines).replace(";", delimiter))
    assert found.table.column_names == ["name", "price", "note"]
    assert found.table["price"].to_pylist() == [row + 0.5 for row in range(20)]


def test_a_title_with_a_delimiter_is_told(read: Ingest) -> None:
    """A line above the table is told whatever signs it has."""
    with pytest.raises(Fault, match=r"Line 1 has 1 cell but the lines below have 3"):
        read("Report; 2024\na,b,c\n" + "1,2,3\n" * 20)


@pytest.mark.parametrize("content", ["", "\n\n", "a,b\n"])
def test_nothing_in_it(read: Ingest, content: str) -> None:
    """A file without a single row is refused."""
    with pytest.raises(Fault) as fault:
        read(content)
    assert fault.value.reason is Reason.EMPTY


def test_too_many_columns(read: Ingest) -> None:
    """More columns than allowed are refused before anything is read."""
    with pytest.raises(Fault) as fault:
        read("a,b,c\n1,2,3\n", Limits(max_columns=2))
    assert fault.value.reason is Reason.TOO_MANY_COLUMNS


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\n...", b"\x89PNG\r\n\x1a\n" + bytes(100), b"<html><body>x</body></html>"]
)
def test_other_files_are_refused(read: Ingest, content: bytes) -> None:
    """What is no table is said to be none."""
    with pytest.raises(Fault) as fault:
        read(content)
    assert fault.value.reason is Reason.UNSUPPORTED


def test_formats_that_are_switched_off(read: Ingest) -> None:
    """A format that the settings don't list is refused by what the file holds."""
    with pytest.raises(Fault, match=r"The file is csv, which isn't taken here") as fault:
        read("a,b\n1,2\n", Limits(formats=frozenset({"parquet"})))
    assert fault.value.reason is Reason.UNSUPPORTED
