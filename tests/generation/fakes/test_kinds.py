"""Every kind of personal data in six countries: new, valid, and consistent in a row."""

import unicodedata
from collections.abc import Callable
from ipaddress import ip_address

import phonenumbers
import pyarrow as pa
import pytest
from stdnum import iban, luhn
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.us import itin, ssn

from servicekit.personal_data import PersonalKind
from services.generation.fakes.kinds import NORMAL
from services.generation.fakes.locales import known, plain, unseeded
from tests.generation.fakes.tables import KINDS, in_common, invented, people

ROWS = 300
LOCALES = ["fr_FR", "en_US", "en_GB", "de_DE", "es_ES", "it_IT"]
NATIONAL: dict[str, Callable[[str], bool]] = {
    "fr_FR": nir.is_valid,
    "en_US": ssn.is_valid,
    "de_DE": idnr.is_valid,
    "es_ES": dni.is_valid,
    "it_IT": codicefiscale.is_valid,
}


def is_pension_insurance(number: str) -> bool:
    """Whether a German pension insurance number has its check digit: 15070649C103 has."""
    compact = number.replace(" ", "")
    counted = f"{compact[:8]}{ord(compact[8]) - 64:02d}{compact[9:11]}"
    products = [
        int(digit) * weight for digit, weight in zip(counted, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1], strict=True)
    ]
    return len(compact) == 12 and sum(sum(divmod(product, 10)) for product in products) % 10 == int(compact[-1])


def letters(text: str) -> str:
    """A name as an address of e-mail could have it."""
    german = text.casefold()
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        german = german.replace(letter, written)
    return "".join(mark for mark in unicodedata.normalize("NFKD", german) if mark.isascii() and mark.isalnum())


@pytest.mark.parametrize("locale", LOCALES)
def test_every_kind(locale: str) -> None:
    """No value of the source comes back, every one is valid of its kind, and a row's values belong together."""
    source = people(locale, ROWS)
    made = invented(source, locale)
    for name, kind in KINDS.items():
        assert not in_common(kind, source[name], made[name]), name
        assert len(made[name]) == ROWS
    for name in ("email", "iban", "card_number", "ip_address"):
        assert len(set(made[name])) == ROWS, "what never came twice doesn't now"
    region = locale[-2:]
    rows = [dict(zip(made, values, strict=True)) for values in zip(*made.values(), strict=True)]
    for row in rows:
        assert row["full_name"] == f"{row['first_name']} {row['last_name']}"
        local, domain = str(row["email"]).split("@")
        assert domain in {"example.com", "example.org", "example.net"}
        assert letters(str(row["last_name"]))[:1] in local
        assert letters(str(row["first_name"]))[:1] == local[0]
        address = str(row["postal_address"])
        for part in ("street_address", "city", "postcode"):
            assert str(row[part]) in address, "the whole address is made of its parts"
        assert iban.is_valid(str(row["iban"]))
        assert luhn.is_valid(str(row["card_number"]))
        assert ip_address(str(row["ip_address"])).is_private or str(row["ip_address"]).startswith("198.")
        written = str(row["phone_number"])
        number = phonenumbers.parse(f"+{written[2:]}" if written.startswith("00") else written, region)
        assert phonenumbers.is_valid_number(number), row["phone_number"]
        assert NATIONAL.get(locale, bool)(str(row["national_id"])), row["national_id"]


def test_reserved_numbers() -> None:
    """American telephones are 555-01xx of an area, as numbers in films are."""
    made = invented({"phone_number": people("en_US", ROWS)["phone_number"]}, "en_US")["phone_number"]
    for value in made:
        national = str(phonenumbers.parse(str(value), "US").national_number)
        assert national[-7:-2] == "55501"


@pytest.mark.parametrize(
    ("locale", "values", "valid"),
    [
        ("en_GB", ["943 476 5919", "943 476 5870"], nhs.is_valid),
        ("en_US", ["912-90-3457", "945-85-1234"], itin.is_valid),
        ("es_ES", ["X5253868R", "Y2345678Z"], nie.is_valid),
        ("de_DE", ["15 070649 C 103", "65 170839 J 003"], is_pension_insurance),
    ],
)
def test_other_national_numbers(locale: str, values: list[str], valid: Callable[[str], bool]) -> None:
    """A country's other numbers (NHS, ITIN, NIE, pension insurance) are told by their looks."""
    made = invented({"national_id": pa.array(values * 5)}, locale, rows=60)["national_id"]
    assert all(valid(str(value)) for value in made)


@pytest.mark.parametrize(
    ("kind", "value", "pattern"),
    [
        (PersonalKind.IBAN, "DE89 3704 0044 0532 0130 00", "#### #### #### #### #### ##"),
        (PersonalKind.CARD_NUMBER, "4012-8888-8888-1881", "####-####-####-####"),
        (PersonalKind.CARD_NUMBER, "371111111111114", "#" * 15),
        (PersonalKind.NATIONAL_ID, "36 574 261 809", "## ### ### ###"),
        (PersonalKind.PHONE_NUMBER, "+49 (0)30 1234567", "+## (0)## ########"),
        (PersonalKind.PHONE_NUMBER, "030/12345678", "###/########"),
    ],
)
def test_ways_of_writing(kind: PersonalKind, value: str, pattern: str) -> None:
    """Spaces and signs stand where the source has them."""
    made = invented({"x": pa.array([value] * 20)}, "de_DE", kinds={"x": kind}, rows=30)["x"]
    # A German number of films is longer than many.
    shapes = {"".join("#" if mark.isalnum() else mark for mark in str(each)).replace("(#)", "(0)") for each in made}
    if "(0)" in value:
        assert all(shape.startswith(("+## (0)## ", "### ")) for shape in shapes)
    else:
        assert shapes == {pattern}


def test_capitals_and_order() -> None:
    """Names are in capitals, or the last name first, where the source writes them so."""
    source = people("fr_FR", 60)
    names = pa.array(
        [
            f"{last.upper()}, {first.upper()}"
            for first, last in zip(source["first_name"].to_pylist(), source["last_name"].to_pylist(), strict=True)
        ]
    )
    made = invented({"full_name": names, "last_name": source["last_name"]}, "fr_FR")
    for full, last in zip(made["full_name"], made["last_name"], strict=True):
        assert str(full) == str(full).upper()
        assert str(full).split(", ")[0] == str(last).upper()


def test_capitals_hide_no_name() -> None:
    """Names that only capitals make equal to the source's aren't given: a Turkish ı and i have the same one."""
    names = plain(known(unseeded("tr_TR"), "person", "first_names"))
    source = pa.array([name.upper() for name in names if "ı" in name])
    assert len(source) > 50
    made = invented({"first_name": source}, "tr_TR", rows=2000)["first_name"]
    assert not set(source.to_pylist()) & set(made)


def test_numbers_stay_numbers() -> None:
    """Columns of integers and decimals get digits of their type."""
    columns = {
        "phone_number": pa.array([33612345678 + row for row in range(40)], pa.int64()),
        "postcode": pa.array([75001.0 + row for row in range(40)], pa.float64()),
        "card_number": pa.array([4012888888881881 + row for row in range(40)], pa.uint64()),
    }
    made = invented(columns, "fr_FR")
    for value in made["phone_number"]:
        assert phonenumbers.is_valid_number(phonenumbers.parse(f"+{value}"))
    assert all(isinstance(value, float) and value == int(value) for value in made["postcode"])
    assert all(luhn.is_valid(str(value)) for value in made["card_number"])


@pytest.mark.parametrize("locale", ["ja_JP", "ru_RU", "ar_SA", "pl_PL", "pt_BR", "en_IN", "tlh_QO", ""])
def test_other_languages(locale: str) -> None:
    """Any other locale of Faker works too, and one that nobody knows is taken for American English."""
    known = locale if locale not in {"tlh_QO", ""} else "en_US"
    source = people(known, 60)
    made = invented(source, locale)
    for name, kind in KINDS.items():
        assert not in_common(kind, source[name], made[name]), name
        assert all(made[name])


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (PersonalKind.FIRST_NAME, "Hansjörg", "Hans-Jörg"),
        (PersonalKind.LAST_NAME, "O'Brien", "OBrien"),
        (PersonalKind.FULL_NAME, "Meyer, Dr. Anna", "Anna Meyer"),
        (PersonalKind.IBAN, "FR76 3000 6000 0112", "fr76300060000112"),
    ],
)
def test_other_spellings_are_the_same(kind: PersonalKind, one: str, other: str) -> None:
    """What the source spells another way is the source's all the same."""
    assert NORMAL[kind](one) == NORMAL[kind](other)
