"""What holds of invented columns as a whole: repeats, uniqueness, chance, and what happens where names run out."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from faker import Faker

from servicekit.personal_data import PersonalKind
from services.generation.engines.protocol import Failure
from services.generation.fakes.grouping import grouped
from services.generation.fakes.learn import learn_fakes
from services.generation.fakes.locales import known, plain, unseeded
from services.generation.fakes.plan import FakePlan
from services.generation.fakes.source import FakeSource
from tests.generation.fakes.tables import KEY, KINDS, in_common, invented, people


def test_same_seed_same_values() -> None:
    """The seed decides everything, whatever the key and whatever was drawn before; another seed gives other values."""
    source = people("de_DE", 120)
    first = invented(source, "de_DE", seed=5)
    other = invented(source, "de_DE", seed=6)
    assert invented(source, "de_DE", seed=5, key=b"another key, as long as this one") == first
    assert all(first[name] != other[name] for name in KINDS)


_TOLD = """
from tests.generation.fakes.tables import invented, people
source = people("en_US", 40)
print(ascii([invented(source, locale, rows=60) for locale in ("it_IT", "uk_UA")]))
"""


def test_same_seed_in_every_process() -> None:
    """Another process, in which sets have another order and chance another beginning, invents the same."""
    told = {
        subprocess.run(
            [sys.executable, "-c", _TOLD],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[3],
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1


def test_people_come_back_as_often() -> None:
    """Somebody with several rows has the same name, address and number in all of them, about as often as at first."""
    people_of = people("en_US", 100)
    rows = np.repeat(np.arange(100), 5)
    columns = {name: array.take(pa.array(rows)) for name, array in people_of.items() if name != "ip_address"}
    made = invented(columns, "en_US", rows=1000)
    persons = Counter(zip(*made.values(), strict=True))
    assert len(persons) == 200
    assert set(persons.values()) == {5}
    assert len(set(made["email"])) == 200


def test_a_set_follows_another() -> None:
    """Customers with several cards keep their name on all of them."""
    source = people("en_GB", 60)
    owners = pa.array(np.repeat(np.arange(20), 3))
    columns = {"full_name": source["full_name"].take(owners), "card_number": source["card_number"]}
    twice = {name: pa.concat_arrays([array, array]) for name, array in columns.items()}
    made = invented(twice, "en_GB")
    pairs = set(zip(made["full_name"], made["card_number"], strict=True))
    assert len({card for _, card in pairs}) == len(pairs) == 60
    assert len({name for name, _ in pairs}) == 20


def test_postcodes_keep_their_town() -> None:
    """One postcode is in one town, in as many towns as the source has."""
    towns = pa.array([f"Dorf {number % 12}" for number in range(240)])
    codes = pa.array([f"{10000 + number % 30}" for number in range(240)])
    made = invented({"city": towns, "postcode": codes}, "de_DE")
    pairs = set(zip(made["postcode"], made["city"], strict=True))
    assert len(pairs) == len(set(made["postcode"])) <= 30
    assert len(set(made["city"])) <= 12


@pytest.mark.parametrize("locale", ["fr_FR", "en_US"])
def test_names_run_out(locale: str) -> None:
    """Where the source has every name that is known, others are made; none of the source's, and it comes to an end."""
    names = unseeded(locale)
    firsts, lasts = (plain(known(names, "person", pool)) for pool in ("first_names", "last_names"))
    rows = max(len(firsts), len(lasts))
    columns = {
        "first_name": pa.array([firsts[row % len(firsts)] for row in range(rows)]),
        "last_name": pa.array([lasts[row % len(lasts)] for row in range(rows)]),
    }
    made = invented(columns, locale)
    for name, array in columns.items():
        assert not in_common(KINDS[name], array, made[name])
        assert len(set(made[name])) > 20


def test_numbers_run_out() -> None:
    """A column with more different telephone numbers than films have gets extensions; each is still one of a kind."""
    numbers = pa.array([f"(212) 555-{row:04d}" for row in range(100, 200)] + [f"0{row}" for row in range(40_000)])
    made = invented({"phone_number": numbers}, "en_US")["phone_number"]
    assert len(set(made)) == len(numbers)
    assert not in_common(PersonalKind.PHONE_NUMBER, numbers, made)


def test_the_source_has_reserved_values() -> None:
    """Values of the source are avoided even where they come out of the very ranges that are drawn from."""
    faker = Faker("en_US")
    faker.seed_instance(3)
    columns = {
        "email": pa.array([faker.unique.safe_email() for _ in range(200)]),
        "ip_address": pa.array([f"192.0.2.{row + 1}" for row in range(200)]),
        "phone_number": pa.array([f"212-555-01{row % 100:02d}" for row in range(200)]),
    }
    first = invented(columns, "en_US")
    again = invented({name: pa.array(values) for name, values in first.items()}, "en_US")
    for name, values in first.items():
        assert not in_common(KINDS[name], columns[name], values)
        assert not in_common(KINDS[name], pa.array(values), again[name]), "the same seed would say the same"


@pytest.mark.parametrize(
    ("kind", "locale", "numbers"),
    [
        ("postcode", "nl_NL", range(1000, 10_000, 2)),  # faked as 1234 AB
        ("postcode", "en_GB", range(1, 99)),  # faked as SW1A 1AA
        ("national_id", "es_ES", range(10_000_000, 90_000_000, 1000)),  # faked as 12345678Z
    ],
)
def test_numbers_without_their_letters(kind: str, locale: str, numbers: range) -> None:
    """What is left of a value in a column of numbers is none of the source's either."""
    source = pa.array(list(numbers), pa.int64())
    made = invented({kind: source}, locale, rows=3000)[kind]
    assert not set(source.to_pylist()) & set(made)


def test_small_numbers() -> None:
    """A column of small numbers gets those that it can hold; where there are none, that is said."""
    codes = pa.array([1000 + row // 2 for row in range(100)], pa.int16())
    made = invented({"postcode": codes}, "en_US")["postcode"]
    assert not set(codes.to_pylist()) & set(made)
    with pytest.raises(Failure, match=r"'phone_number'.*make columns of small numbers text"):
        invented({"phone_number": pa.array([112, 110], pa.int16())}, "de_DE")


def test_the_plan_holds_no_value() -> None:
    """What is stored names nobody: no value of the source is in it, nor can one be tried without the key."""
    source = people("fr_FR", 150)
    plan = learn_fakes(source, {name: (kind, "fr_FR") for name, kind in KINDS.items()}, frozenset(), KEY)
    stored = plan.model_dump_json()
    for array in source.values():
        assert not [value for value in array.to_pylist() if len(value) > 4 and value in stored]
    assert FakePlan.model_validate_json(stored) == plan
    with_another = FakeSource(plan, 150, 7, b"another key")
    with_it = FakeSource(plan, 150, 7, KEY)
    assert with_another.values("city", 0, 150, pa.string()) != with_it.values("city", 0, 150, pa.string())


def test_types_that_hold_no_such_thing() -> None:
    """A column of dates can't hold names; the refusal names the column and what to do."""
    with pytest.raises(Failure, match=r"'born'.*correct its kind") as caught:
        learn_fakes(
            {"born": pa.array([1, 2], pa.date32())}, {"born": (PersonalKind.FULL_NAME, "en_US")}, frozenset(), KEY
        )
    assert caught.value.metadata == {"column": "born"}


@pytest.mark.parametrize(
    ("columns", "sets"),
    [
        ({"customer_name": "full_name", "contact_email": "email"}, [{"customer_name", "contact_email"}]),
        (
            {
                "sender_name": "full_name",
                "sender_mail": "email",
                "receiver_name": "full_name",
                "receiver_mail": "email",
            },
            [{"sender_name", "sender_mail"}, {"receiver_name", "receiver_mail"}],
        ),
        (
            {
                "firstName": "first_name",
                "lastName": "last_name",
                "billingStreet": "street_address",
                "billingCity": "city",
                "shippingStreet": "street_address",
                "shippingCity": "city",
                "phone": "phone_number",
            },
            [
                {"firstName", "lastName"},
                {"billingStreet", "billingCity"},
                {"shippingStreet", "shippingCity"},
                {"phone"},
            ],
        ),
        (
            {"Vorname": "first_name", "Nachname": "last_name", "E-Mail 1": "email", "E-Mail 2": "email"},
            [{"Vorname", "Nachname", "E-Mail 1", "E-Mail 2"}],
        ),
        ({"email": "email", "iban": "iban"}, [{"email"}, {"iban"}]),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_belongs_together(columns: dict[str, str], sets: list[set[str]]) -> None:
    """People and addresses are told apart by what their columns' names have around the kind."""
    found = grouped([(name, PersonalKind(kind)) for name, kind in columns.items()])
    assert sorted(map(sorted, found)) == sorted(map(sorted, sets))
