"""What callers may send, as pydantic models: every wrong field is found at once, and says what would be right."""

import json
import unicodedata
from typing import Annotated, Any

import email_validator
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationInfo, field_validator

from mirage.auth.v1 import account_pb2, session_pb2
from servicekit.access import Role
from servicekit.limits import limited
from servicekit.wording import REQUIRED
from services.auth.strength import password_faults

ACTIVE = "active"
INACTIVE = "inactive"
_MAX_PREFERENCES_BYTES = 16 * 1024


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
    if not password:
        raise ValueError(REQUIRED)
    faults = password_faults(password, info.data.get("email", ""), info.data.get("display_name", ""))
    if faults:
        raise ValueError("; ".join(faults))
    return password


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


def _state(state: str) -> str:
    if state not in (ACTIVE, INACTIVE):
        raise ValueError("must be USER_STATE_ACTIVE or USER_STATE_INACTIVE")
    return state


EmailAddress = Annotated[str, AfterValidator(normalised_email)]
Trimmed = StringConstraints(strip_whitespace=True)


class Input(BaseModel):
    """The base of what callers send."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Registration(Input):
    """A new account."""

    email: Annotated[EmailAddress, limited(session_pb2.RegisterRequest, "email")]
    display_name: Annotated[str, Trimmed, limited(session_pb2.RegisterRequest, "display_name")]
    password: str

    _strong = field_validator("password")(_checked_password)


class Credentials(Input):
    """What somebody signs in with. The address need not be one: an unknown one is refused like a wrong password."""

    email: Annotated[str, limited(session_pb2.LoginRequest, "email")]
    password: Annotated[str, limited(session_pb2.LoginRequest, "password")]


class AccountChange(Input):
    """What is to change of an account; None stays."""

    display_name: Annotated[str | None, Trimmed, limited(account_pb2.UpdateMeRequest, "display_name")] = None
    email: Annotated[EmailAddress | None, limited(account_pb2.UpdateMeRequest, "email")] = None
    password: Annotated[str | None, limited(account_pb2.UpdateMeRequest, "password")] = None


class AccountEnd(Input):
    """What confirms that an account is to end."""

    password: Annotated[str, limited(account_pb2.DeleteAccountRequest, "password")]


class PasswordChange(Input):
    """The password in force and a new one, for the account with this address and name."""

    email: str
    display_name: str
    old_password: Annotated[str, limited(session_pb2.ChangePasswordRequest, "old_password")]
    new_password: str

    _strong = field_validator("new_password")(_checked_password)

    @field_validator("new_password")
    @classmethod
    def _is_new(cls, password: str, info: ValidationInfo) -> str:
        if password == info.data.get("old_password"):
            raise ValueError("must differ from the old password")
        return password


class ProfileChange(Input):
    """What is to change of a profile; None stays, empty clears."""

    organisation: Annotated[str | None, Trimmed, limited(account_pb2.UpdateProfileRequest, "organisation")] = None
    locale: Annotated[str | None, Trimmed, limited(account_pb2.UpdateProfileRequest, "locale")] = None
    preferences: Annotated[dict[str, Any], AfterValidator(_preferences)] | None = None


class UserFilter(Input):
    """Which accounts to list; None is any."""

    role: Role | None = None
    state: Annotated[str, AfterValidator(_state)] | None = None
    text: Annotated[str, Trimmed] = ""


class RoleChange(Input):
    """A new role."""

    role: Role
