"""What the scan makes of single columns: mixed, sparse, hostile, wide."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faker import Faker
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dataset.personal_data import sampling
from services.dataset.personal_data.column_names import hints
from services.dataset.personal_data.confidence import Test as Quality
from services.dataset.personal_data.confidence import combined, value_confidence
from services.dataset.personal_data.detectors import DENSE, SPARSE
from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.sampling import Sample, samples
from services.dataset.personal_data.scan import scan
from tests.dataset.personal_data.conftest import Scan

FAKE = Faker("fr_FR")
FAKE.seed_instance(7)


def test_one_value(scanned: Scan) -> None:
    """One address is enough to be found, in a table of one row."""
    found = scanned([("contact", ["ada@example.org"]), ("account", ["DE89 3704 0044 0532 0130 00"]), ("x", [1])])
    assert {name: finding.kind for name, finding in found.items()} == {"contact": Kind.EMAIL, "account": Kind.IBAN}
    assert found["account"].locale == "de_DE"


def test_few_among_many(scanned: Scan) -> None:
    """A column in which one value of ten is an address holds personal data, and says how many."""
    found = scanned([("handle", [f"user{n}" if n % 10 else f"ada{n}@example.org" for n in range(400)])])
    assert found["handle"].kind is Kind.EMAIL
    assert found["handle"].matching_share == pytest.approx(0.1)


def test_mostly_missing(scanned: Scan) -> None:
    """A handful of values in thousands of rows is looked for wherever it is."""
    values: list[str | None] = [None] * 5_000
    for row in (77, 1_234, 3_333, 4_321):
        values[row] = f"+33 6 12 34 56 {row % 100:02}"
    found = scanned([("a", values)])
    assert (found["a"].kind, found["a"].locale) == (Kind.PHONE_NUMBER, "fr_FR")


def test_whole_numbers(scanned: Scan) -> None:
    """Card numbers, national ids and phone numbers are found where they are stored as integers."""
    cards = [int(FAKE.credit_card_number("visa16")) for _ in range(100)]
    ids = [int(ssn) for ssn in (FAKE.ssn() for _ in range(100)) if ssn.isdigit()][:80]
    phones = [int(f"33612{n:06}") for n in range(1_000, 1_080)]
    found = scanned([("a", cards[:80]), ("b", ids), ("mobile", phones), ("amount", phones)])
    assert {name: finding.kind for name, finding in found.items()} == {
        "a": Kind.CARD_NUMBER,
        "b": Kind.NATIONAL_ID,
        "mobile": Kind.PHONE_NUMBER,
    }


def test_whole_numbers_kept_as_floats(scanned: Scan) -> None:
    """Where a missing value made floats of a column of numbers, as pandas does, they are found all the same."""
    cards = [float(FAKE.credit_card_number("visa16")) for _ in range(80)]
    phones = [float(f"33612{n:06}") for n in range(1_000, 1_080)]
    found = scanned([("a", [*cards, None]), ("mobile", [*phones, None]), ("mobile_minutes", [*phones, 1.5])])
    kinds = {name: finding.kind for name, finding in found.items()}
    assert kinds == {"a": Kind.CARD_NUMBER, "mobile": Kind.PHONE_NUMBER}


def test_wrong_checksums_count_with_the_columns_name(scanned: Scan) -> None:
    """Numbers that fail their checksum are taken for what the column's name says, and for nothing without it."""
    wrong = [f"FR76 3000 6000 0112 3456 78{n:02} 000" for n in range(50)]
    found = scanned([("iban", wrong), ("reference", wrong)])
    assert set(found) == {"iban"}
    assert found["iban"].evidence == ("pattern", "column name")


def test_cities_and_postcodes_only_beside_people(scanned: Scan) -> None:
    """A city is personal where the table says whose it is, and not in a table of cities."""
    places = [("city", [FAKE.city() for _ in range(100)]), ("zip", [FAKE.postcode() for _ in range(100)])]
    assert scanned(places) == {}
    found = scanned([*places, ("customer", [FAKE.name() for _ in range(100)])])
    assert {name: finding.kind for name, finding in found.items()} == {
        "city": Kind.CITY,
        "zip": Kind.POSTCODE,
        "customer": Kind.FULL_NAME,
    }
    assert "other columns" in found["city"].evidence


def test_versions_are_no_addresses(scanned: Scan) -> None:
    """1.2.3.4 is a version, unless the column's name or the other values say that it is an address."""
    versions = [f"1.{n % 12}.{n % 7}.{n}" for n in range(50)]
    assert scanned([("release", versions)]) == {}
    assert scanned([("client_ip", versions)])["client_ip"].kind is Kind.IP_ADDRESS
    assert scanned([("a", [*versions, *(f"192.168.{n}.17" for n in range(60))])])["a"].kind is Kind.IP_ADDRESS
    assert scanned([("b", [f"2001:db8::{n:x}" for n in range(50)])])["b"].kind is Kind.IP_ADDRESS


def test_every_script(scanned: Scan) -> None:
    """Columns and values in any script are looked at, and names in some of them are known."""
    found = scanned(
        [
            ("имя", [Faker("ru_RU").name() for _ in range(100)]),
            ("氏名", [Faker("ja_JP").name() for _ in range(100)]),
            ("👩", ["用户@例子.中国", "δοκιμή@παράδειγμα.ελ"] * 50),
        ]
    )
    assert {name: finding.kind for name, finding in found.items()} == {
        "имя": Kind.FULL_NAME,
        "氏名": Kind.FULL_NAME,
        "👩": Kind.EMAIL,
    }


@pytest.mark.parametrize(
    "value",
    [
        "a" * 300,
        "a." * 150,
        "a@" * 150,
        "@" * 300,
        "a@" + "a." * 149,
        "a@" + "a-" * 149,
        "<" * 300,
        "1 " * 150,
        "1-" * 150,
        "(" * 300,
        "+" * 300,
        "A A " * 75,
        "A'" * 150,
        "rue " * 75,
        "1 rue " * 50,
        ":" * 300,
        "0:" * 150,
        "é" * 300,
        "e\u0301" * 150,
        "\ufffd\u202e\u0000\u200b" * 70,
        "ﷺ" * 300,
        "９" * 16,
    ],
    ids=lambda value: ascii(value[:6]),
)
def test_hostile_values(scanned: Scan, value: str) -> None:
    """Values made to keep an expression busy, or to break one, are nothing; one that is busy never ends."""
    names = ("email", "phone", "name", "address", "iban", "card_number", "ip", "national_id", "city", "x" * 10_000)
    found = scanned([(name, [f"{value}{n}" for n in range(200)]) for name in names])
    assert set(found) <= {"name", "address", "phone", "city"}  # whose values look like little in particular


@given(
    name=st.text(max_size=40),
    values=st.lists(
        st.one_of(
            st.text(max_size=60),
            st.from_regex(r"\+?[0-9 ().x@/:-]{5,30}", fullmatch=True),
            st.emails(),
            st.ip_addresses().map(str),
        ),
        min_size=1,
        max_size=40,
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_values(name: str, values: list[str]) -> None:
    """Whatever a column is called and holds, the scan comes to an end, with shares and confidences that are some."""
    sample = Sample(name, tuple(dict.fromkeys(values)), whole_numbers=False)
    for detect in (*SPARSE, *DENSE):
        for evidence in detect(sample, hints(name)):
            assert 0 <= evidence.confidence <= 1
            assert 0 <= evidence.matching_share <= 1


def test_enormous_values(scanned: Scan) -> None:
    """Of a value of a megabyte no more than its beginning is looked at."""
    assert scanned([("email", ["X" * 1_000_000 + "@example.org"] * 3), ("name", ["Y " * 500_000] * 3)]) == {}


def test_same_table_same_findings(tmp_path: Path) -> None:
    """The same table is found to hold the same, whatever its row groups."""
    draws = random.Random(3)  # noqa: S311 - the same ones each time
    table = pa.table({"a": [FAKE.name() if draws.random() < 0.8 else None for _ in range(3_000)]})
    found = []
    for rows in (100, 1_000, 3_000):
        pq.write_table(table, tmp_path / "t.parquet", row_group_size=rows)
        assert scan(tmp_path / "t.parquet") == scan(tmp_path / "t.parquet")
        found.append([(each.column, each.kind, each.locale) for each in scan(tmp_path / "t.parquet")])
    assert found == [[("a", Kind.FULL_NAME, "fr_FR")]] * 3


def test_sample_is_bounded_and_spread(tmp_path: Path) -> None:
    """Of a long table no more values are looked at than allowed, from its beginning to its end."""
    rows = 100_000
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [str(n) for n in range(rows)], "b": [1.5] * rows}), path, row_group_size=8_192)
    [sample] = samples(path)
    assert len(sample.values) == sampling.MOST_VALUES
    places = [int(value) for value in sample.values]
    assert min(places) < rows * 0.01
    assert max(places) > rows * 0.98


def test_wide_tables_get_fewer_values(tmp_path: Path) -> None:
    """Of two thousand columns each gets its share, in order, whatever they are called."""
    path = tmp_path / "t.parquet"
    names = [f"a.{n}" for n in range(2_000)]
    pq.write_table(pa.table({name: [f"{name} {row}" for row in range(300)] for name in names}), path)
    found = list(samples(path))
    assert [sample.name for sample in found] == names
    assert {len(sample.values) for sample in found} == {sampling.FEWEST_VALUES}
    assert found[17].values[0] == "a.17 0"


def test_confidence_formula() -> None:
    """Strength, share beyond chance and chance itself make the confidence; the column's name adds to it."""
    luhn = Quality(strength=0.95, chance=0.1, enough=0.7)
    assert value_confidence(luhn, 0, 100) == 0
    assert value_confidence(luhn, 10, 100) == 0  # as many as by chance
    assert value_confidence(luhn, 55, 100) == pytest.approx(0.95 * (0.5 / 0.7))
    assert value_confidence(luhn, 100, 100) == pytest.approx(0.95)
    assert value_confidence(luhn, 1, 1) == pytest.approx(0.95 * 0.9)  # one of ten passes by chance
    assert combined(0.5, 0.7) == pytest.approx(0.85)
    assert combined() == 0
