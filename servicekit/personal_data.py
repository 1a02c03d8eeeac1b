"""The kinds of personal data: one service finds them, another invents them."""

from enum import StrEnum


class PersonalKind(StrEnum):
    """What personal data a column holds."""

    EMAIL = "email"
    PHONE_NUMBER = "phone_number"
    FULL_NAME = "full_name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    POSTAL_ADDRESS = "postal_address"  # a whole address in one field
    STREET_ADDRESS = "street_address"
    CITY = "city"
    POSTCODE = "postcode"
    IBAN = "iban"
    CARD_NUMBER = "card_number"
    IP_ADDRESS = "ip_address"
    NATIONAL_ID = "national_id"
