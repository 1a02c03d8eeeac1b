"""A table of customers, on the whole platform: found to be personal, never learned, filled with nobody's data."""

import random

import pandas as pd
import phonenumbers
import pytest
from faker import Faker
from stdnum import iban, luhn
from stdnum.de import idnr
from stdnum.iso7064 import mod_11_10

from mirage import Client
from mirage.errors import InvalidRequest

pytestmark = pytest.mark.xdist_group("platform")

ROWS = 400
PERSONAL = {
    "first_name": "first_name",
    "last_name": "last_name",
    "email": "email",
    "phone": "phone_number",
    "street": "street_address",
    "city": "city",
    "postcode": "postcode",
    "iban": "iban",
    "card_number": "card_number",
    "tax_id": "national_id",
    "ip_address": "ip_address",
}


def customers() -> pd.DataFrame:
    """German customers as Faker makes them, with what they spend."""
    faker, draw = Faker("de_DE"), random.Random(5)  # noqa: S311 - a table for tests, not a secret
    faker.seed_instance(5)
    rows = []
    for _ in range(ROWS):
        plan = draw.choice(["basic", "plus", "plus", "pro"])
        tax_digits = draw.sample("123456789", 9)
        tax_id = "".join([*tax_digits, tax_digits[0]])
        rows.append(
            {
                "first_name": faker.first_name(),
                "last_name": faker.last_name(),
                "email": faker.unique.free_email(),
                "phone": f"+49 30 {draw.randint(2_000_000, 9_999_999)}",
                "street": faker.street_address(),
                "city": faker.city(),
                "postcode": faker.postcode(),
                "iban": faker.iban(),
                "card_number": faker.credit_card_number("visa16"),
                "tax_id": tax_id + mod_11_10.calc_check_digit(tax_id),
                "ip_address": faker.ipv4_public(),
                "plan": plan,
                "orders": draw.randint(0, 40),
                "spent": round(draw.lognormvariate(3 if plan == "basic" else 4, 0.5), 2),
            }
        )
    return pd.DataFrame(rows)


def assert_nobody(made: pd.DataFrame, source: pd.DataFrame) -> None:
    """Checks that rows are of nobody in the source, valid, and consistent."""
    assert list(made.columns) == list(source.columns)
    for name in PERSONAL:
        shared = set(made[name].astype(str)) & set(source[name].astype(str))
        assert not shared, name
    for row in made.astype(str).to_dict("records"):
        assert row["email"].endswith(("@example.com", "@example.org", "@example.net"))
        assert row["email"][0] == row["first_name"].lower().replace("ö", "o").replace("ü", "u").replace("ä", "a")[0]
        assert phonenumbers.is_valid_number(phonenumbers.parse(row["phone"], "DE"))
        assert iban.is_valid(row["iban"])
        assert row["iban"].startswith("DE")
        assert luhn.is_valid(row["card_number"])
        assert idnr.is_valid(row["tax_id"])
        assert len(row["postcode"]) in {4, 5}
    assert made["email"].is_unique
    assert set(made["plan"]) <= set(source["plan"]), "what is nobody's is learned"


def test_customers(client: Client) -> None:
    """Upload, job and later rows from the model: nothing of anybody comes out, by a table, a model or a condition."""
    source = customers()
    dataset = client.datasets.upload(source, name="customers")
    validation = client.validate(dataset.id, model="gaussian_copula", rows=200, seed=3)
    assert validation.invented_columns == PERSONAL
    job = client.generate(dataset.id, model="gaussian_copula", rows=200, seed=3)
    assert job.invented_columns == PERSONAL
    assert_nobody(job.dataframe(), source)
    assert {each["locale"] for each in job.metadata()["table"]["personal_data"]} <= {"de_DE", "en_US"}

    model = job.model.refresh()
    assert model.invented_columns == PERSONAL
    later = model.sample(150, seed=9).dataframe()
    assert_nobody(later, source)
    pd.testing.assert_frame_equal(later, model.sample(150, seed=9).dataframe())
    kept = model.sample(20, seed=9, conditions={"plan": "pro"}).dataframe()
    assert set(kept["plan"]) == {"pro"}
    with pytest.raises(InvalidRequest, match="personal data"):
        model.sample(20, conditions={"email": source["email"][0]}).dataframe()
    with pytest.raises(InvalidRequest, match="personal data"):
        client.generate(dataset.id, model="gaussian_copula", conditions={"city": source["city"][0]})
