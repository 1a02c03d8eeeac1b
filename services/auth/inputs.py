"""What callers may send, as pydantic models: every wrong field is found at once, and says what would be right."""

import json
import re
import unicodedata
from typing import Annotated, Any

import email_validator
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from servicekit.access import Role
from services.auth.strength import password_faults

ACTIVE = "active"
INACTIVE = "inactive"
_MAX_PREFERENCES_BYTES = 16 * 1024
# Longer than any password that was ever set here or imported; what is longer isn't worth a hash.
_MAX_ATTEMPT_LENGTH = 1024


def normalised_email(address: str) -> str:
    """The address in its one spelling: Unicode composed, the domain in lower case, its own case kept before the @.

    No DNS is asked.

    Raises:
        ValueError: it is no address.
    """
    try:
        parsed = email_validator.validate_email(address.strip(), check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {error}") from None
    return parsed.normalized


def email_key(address: str) -> str:
    """What two spellings of an address have in common; takes any text, since a stranger may try any."""
    # PostgreSQL can't hold the null character; no address has the one in its place.
    return unicodedata.normalize("NFC", address.strip()).lower().replace("\0", "\ufffd")


def _checked_password(password: str, info: ValidationInfo) -> str:
    faults = password_faults(password, info.data.get("email", ""), info.data.get("display_name", ""))
    if faults:
        raise ValueError("; ".join(faults))
    return password


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("must be one line without control characters")
    return text


def _locale(tag: str) -> str:
    if tag and not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", tag):
        raise ValueError("must be a BCP 47 language tag, such as en-GB")
    return tag


def _preferences(preferences: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(preferences, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise ValueError("must hold only finite numbers") from None
    if "\\u0000" in text:  # PostgreSQL's jsonb can't hold it
        raise ValueError("must not hold the null character")
    size = len(text.encode())
    if size > _MAX_PREFERENCES_BYTES:
        raise ValueError(f"must be at most {_MAX_PREFERENCES_BYTES} bytes as JSON, not {size}")
    return preferences


def _person(role: str) -> Role:
    if role not in (Role.USER, Role.ADMINISTRATOR):
        raise ValueError("must be `user` or `administrator`")
    return Role(role)


def _state(state: str) -> str:
    if state not in (ACTIVE, INACTIVE):
        raise ValueError("must be USER_STATE_ACTIVE or USER_STATE_INACTIVE")
    return state


EmailAddress = Annotated[str, AfterValidator(normalised_email)]
DisplayName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_one_line)
]
# The password in force, as somebody typed it: no rule but a bound.
PasswordAttempt = Annotated[str, Field(min_length=1, max_length=_MAX_ATTEMPT_LENGTH)]
PersonsRole = Annotated[str, AfterValidator(_person)]


class Input(BaseModel):
    """The base of what callers send."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Trimmed(Input):
    """Input whose texts lose the white space around them; nothing with a password in it."""

    model_config = ConfigDict(str_strip_whitespace=True)


class Registration(Input):
    """A new account."""

    email: EmailAddress
    display_name: DisplayName
    password: str

    _strong = field_validator("password")(_checked_password)


class Credentials(Input):
    """What somebody signs in with. The address need not be one: an unknown one is refused like a wrong password."""

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: PasswordAttempt


class AccountChange(Input):
    """What is to change of an account; None stays."""

    display_name: DisplayName | None = None
    email: EmailAddress | None = None
    password: PasswordAttempt | None = None


class PasswordChange(Input):
    """The password in force and a new one, for the account with this address and name."""

    email: str
    display_name: str
    old_password: PasswordAttempt
    new_password: str

    _strong = field_validator("new_password")(_checked_password)

    @field_validator("new_password")
    @classmethod
    def _is_new(cls, password: str, info: ValidationInfo) -> str:
        if password == info.data.get("old_password"):
            raise ValueError("must differ from the old password")
        return password


class ProfileChange(Trimmed):
    """What is to change of a profile; None stays, empty clears."""

    organisation: Annotated[str, Field(max_length=200), AfterValidator(_one_line)] | None = None
    locale: Annotated[str, Field(max_length=35), AfterValidator(_locale)] | None = None
    preferences: Annotated[dict[str, Any], AfterValidator(_preferences)] | None = None


class UserFilter(Trimmed):
    """Which accounts to list; None is any."""

    role: PersonsRole | None = None
    state: Annotated[str, AfterValidator(_state)] | None = None
    text: Annotated[str, Field(max_length=200), AfterValidator(_one_line)] = ""


class RoleChange(Input):
    """A new role."""

    role: PersonsRole
