"""How well personal data is found, in labelled columns: the figures of docs/personal-data.md."""

from collections import Counter
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from services.dataset.personal_data.kinds import Finding
from services.dataset.personal_data.scan import scan
from tests.dataset.personal_data.conftest import Scan
from tests.dataset.personal_data.tables import COUNTRIES, FIRST_NAMES, Labelled, names_in, people_in, things

SEEDS = (1, 2)
BY_NAME_ALONE = {"city", "postcode"}
"""Kinds whose values could be anybody's or anything: only the column's name tells them."""
FLIGHTS = Path(__file__).resolve().parents[3] / "demo" / "flights.csv"


def scan_of(scanned: Scan, columns: list[Labelled]) -> dict[str, Finding]:
    """What is found in columns that make one table, by name."""
    return scanned([(column.name, column.values) for column in columns])


def found_in(scanned: Scan, columns: list[Labelled]) -> Counter[tuple[str, str]]:
    """How often columns of one kind (empty: none) were taken for another, by both."""
    return compared(columns, scan_of(scanned, columns))


def compared(columns: list[Labelled], findings: dict[str, Finding]) -> Counter[tuple[str, str]]:
    """How often columns of one kind (empty: none) were taken for another, by both."""
    return Counter(
        (column.kind, findings[column.name].kind.value if column.name in findings else "") for column in columns
    )


def unnamed(columns: list[Labelled]) -> list[Labelled]:
    """The same columns with names that say nothing."""
    return [column._replace(name=f"c{number}") for number, column in enumerate(columns)]


def recall(found: Counter[tuple[str, str]]) -> float:
    """The share of columns with personal data that were found, as what they are."""
    return sum(count for (is_, said), count in found.items() if is_ == said != "") / sum(
        count for (is_, _), count in found.items() if is_
    )


def test_people_with_usual_column_names(scanned: Scan) -> None:
    """In tables of six countries every column of people is found as what it is, in the country's language."""
    found: Counter[tuple[str, str]] = Counter()
    for locale in COUNTRIES:
        for seed in SEEDS:
            columns = people_in(locale, seed)
            findings = scan_of(scanned, columns)
            found += compared(columns, findings)
            # Faker's Americans have British bank accounts.
            elsewhere = {"iban"} if locale == "en_US" else set()
            assert {each.locale for each in findings.values() if each.kind not in elsewhere} == {locale}
    assert recall(found) == 1.0, found


def test_people_without_column_names(scanned: Scan) -> None:
    """Where the columns' names say nothing, the values alone still tell nearly every kind that they can tell."""
    found: Counter[tuple[str, str]] = Counter()
    for locale in COUNTRIES:
        for seed in SEEDS:
            columns = [column for column in people_in(locale, seed) if column.kind not in BY_NAME_ALONE]
            found += found_in(scanned, unnamed(columns))
    assert recall(found) >= 0.98, found


@pytest.mark.parametrize("locale", FIRST_NAMES)
def test_names_from_elsewhere(scanned: Scan, locale: str) -> None:
    """Names that were not drawn from the lists that the scan knows are found too, and their language with them."""
    columns = names_in(locale)
    findings = scan_of(scanned, columns)
    assert recall(compared(columns, findings)) == 1.0
    assert {finding.locale for finding in findings.values()} == {locale}


@pytest.mark.parametrize("seed", SEEDS)
def test_things(scanned: Scan, seed: int) -> None:
    """What only looks like personal data isn't taken for it, whether its column's name says what it is or not."""
    columns = things(seed)
    assert len(columns) >= 50
    for given in (columns, unnamed(columns)):
        assert scan_of(scanned, given) == {}


def test_precision(scanned: Scan) -> None:
    """Among things, columns of people are told apart: whatever is found is what it is said to be."""
    found: Counter[tuple[str, str]] = Counter()
    for locale in COUNTRIES:
        # A city or postcode of anything counts as people's once the same table has people.
        others = [column for column in things() if column.name not in ("city", "zip", "name")]
        found += found_in(scanned, [*people_in(locale), *(each._replace(name=f"x_{each.name}") for each in others)])
    said = sum(count for (_, said), count in found.items() if said)
    right = sum(count for (is_, said), count in found.items() if said and said == is_)
    assert right / said >= 0.97, found


def test_demonstration(tmp_path: Path) -> None:
    """The demonstration's table of flights has nothing personal."""
    pq.write_table(pyarrow.csv.read_csv(FLIGHTS), tmp_path / "flights.parquet")
    assert scan(tmp_path / "flights.parquet") == []
