"""The kinds of personal data, and what a scan says of a column."""

from functools import cache

from pydantic import BaseModel, ConfigDict

from servicekit.personal_data import PersonalKind as Kind

__all__ = ["CALLED", "NONE", "Finding", "Kind", "locales"]

NONE = "none"
"""What a user says of a column that holds no personal data, whatever was found."""

CALLED = {
    Kind.EMAIL: "e-mail addresses",
    Kind.PHONE_NUMBER: "phone numbers",
    Kind.FULL_NAME: "names of people",
    Kind.FIRST_NAME: "first names",
    Kind.LAST_NAME: "last names",
    Kind.POSTAL_ADDRESS: "postal addresses",
    Kind.STREET_ADDRESS: "street addresses",
    Kind.CITY: "cities of addresses",
    Kind.POSTCODE: "postcodes of addresses",
    Kind.IBAN: "bank accounts (IBAN)",
    Kind.CARD_NUMBER: "card numbers",
    Kind.IP_ADDRESS: "IP addresses",
    Kind.NATIONAL_ID: "national identity numbers",
}


class Finding(BaseModel):
    """What the scan says of one column."""

    model_config = ConfigDict(frozen=True)

    column: str
    kind: Kind
    locale: str = ""  # as in de_DE; empty where unknown
    confidence: float  # 0 to 1
    matching_share: float  # of the examined values, 0 to 1
    evidence: tuple[str, ...]


@cache
def locales() -> frozenset[str]:
    """The locales for which values are invented."""
    from faker.config import AVAILABLE_LOCALES  # imported when needed: it takes a tenth of a second

    return frozenset(AVAILABLE_LOCALES)
