"""Tables full of personal data for tests, and what must hold of what is made of them."""

from collections.abc import Mapping

import pyarrow as pa
from faker import Faker

from servicekit.personal_data import PersonalKind
from services.generation.fakes.kinds import NORMAL
from services.generation.fakes.learn import learn_fakes
from services.generation.fakes.source import FakeSource

KEY = b"k" * 32
KINDS = {kind.value: kind for kind in PersonalKind}


def people(locale: str, rows: int, seed: int = 1) -> dict[str, pa.Array]:
    """Columns of every kind, named after it, as Faker makes them from its whole range."""
    faker = Faker(locale)
    faker.seed_instance(seed)
    makers = {
        "email": faker.unique.email,
        "phone_number": faker.phone_number,
        "full_name": faker.name,
        "first_name": faker.first_name,
        "last_name": faker.last_name,
        "postal_address": faker.address,
        "street_address": faker.street_address,
        "city": faker.city,
        "postcode": faker.postcode,
        "iban": faker.iban,
        "card_number": faker.credit_card_number,
        "ip_address": faker.ipv4,
        "national_id": faker.ssn,
    }
    return {name: pa.array([maker() for _ in range(rows)]) for name, maker in makers.items()}


def invented(
    columns: Mapping[str, pa.Array],
    locale: str,
    *,
    kinds: Mapping[str, PersonalKind] | None = None,
    rows: int | None = None,
    seed: int = 7,
    key: bytes = KEY,
) -> dict[str, list[object]]:
    """What is invented for columns that are named after their kinds, or whose kinds are given."""
    chosen = {name: ((kinds or KINDS)[name], locale) for name in columns}
    plan = learn_fakes(columns, chosen, frozenset(), key)
    wanted = rows or len(next(iter(columns.values())))
    source = FakeSource(plan, wanted, seed, key)
    return {name: source.values(name, 0, wanted, array.type).to_pylist() for name, array in columns.items()}


def in_common(kind: PersonalKind, source: pa.Array, made: list[object]) -> set[str]:
    """The values that a source and what was made of it share, however they are written."""
    normal = NORMAL[kind]
    return {normal(str(value)) for value in source.drop_null().to_pylist()} & {normal(str(value)) for value in made}
