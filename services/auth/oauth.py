"""The OAuth 2 token endpoint (RFC 6749): forms in, grants out, and refusals in that RFC's words.

There are no registered clients: every program is a public client of whoever's password, refresh token or key it holds.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qsl

from servicekit.errors import InvalidRequest, ServiceError
from services.auth.api_keys import ApiKeys
from services.auth.errors import (
    AccountInactive,
    InvalidApiKey,
    InvalidCredentials,
    InvalidRefreshToken,
    RefreshTokenReused,
    ScopeNotHeld,
)
from services.auth.scopes import scopes_in
from services.auth.sessions import Grant, Origin, Sessions

FORM = "application/x-www-form-urlencoded"
API_KEY_GRANT = "urn:mirage:api-key"
_MAX_FORM_BYTES = 16 * 1024
_MAX_PARAMETERS = 50

# What a use case refuses, as the RFC's section 5.2 calls it; any other error is told as everywhere.
_ERRORS: Mapping[type[ServiceError], str] = {
    InvalidRequest: "invalid_request",
    InvalidCredentials: "invalid_grant",
    AccountInactive: "invalid_grant",
    InvalidRefreshToken: "invalid_grant",
    RefreshTokenReused: "invalid_grant",
    InvalidApiKey: "invalid_grant",
    ScopeNotHeld: "invalid_scope",
}


@dataclass(eq=False)
class OAuthRefusal(Exception):
    """A refusal in the form of RFC 6749, section 5.2."""

    error: str
    description: str
    status: int = 400
    headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def document(self) -> dict[str, str]:
        """The answer. The RFC allows a description only printable ASCII without quotes and backslashes."""
        text = re.sub(r"[^\x20-\x7e]", "?", self.description).replace('"', "'").replace("\\", "/")
        return {"error": self.error, "error_description": text}


class TokenEndpoint:
    """Gives tokens for what a form holds."""

    def __init__(self, sessions: Sessions, api_keys: ApiKeys) -> None:
        self._sessions = sessions
        self._api_keys = api_keys
        self._grants: Mapping[str, Callable[[Mapping[str, str], Origin], Awaitable[Grant]]] = {
            "password": self._password,
            "refresh_token": self._refresh_token,
            API_KEY_GRANT: self._api_key,
        }

    async def grant(self, form: Mapping[str, str], authorization: str, origin: Origin) -> Grant:
        """Tokens for the parameters of a form; `authorization` is the request's header of that name.

        Raises:
            OAuthRefusal: there is something wrong with them.
            ServiceError: something else prevents it, such as too many attempts.
        """
        if authorization.lower().startswith("basic ") or "client_secret" in form:
            raise _invalid_client(authorization)
        kind = _required(form, "grant_type")
        if kind not in self._grants:
            known = ", ".join(self._grants)
            raise OAuthRefusal("unsupported_grant_type", f"grant_type must be one of {known}, not '{kind[:50]}'.")
        try:
            return await self._grants[kind](form, origin)
        except ServiceError as error:
            name = next((name for known, name in _ERRORS.items() if isinstance(error, known)), None)
            if name is None:
                raise
            raise OAuthRefusal(name, error.message) from error

    async def _password(self, form: Mapping[str, str], origin: Origin) -> Grant:
        scopes = _scopes(form)
        values = {"email": _required(form, "username"), "password": _required(form, "password")}
        return await self._sessions.login(values, origin, scopes)

    async def _refresh_token(self, form: Mapping[str, str], origin: Origin) -> Grant:
        return await self._sessions.refresh(_required(form, "refresh_token"), origin, _scopes(form))

    async def _api_key(self, form: Mapping[str, str], origin: Origin) -> Grant:
        return await self._api_keys.exchange(_required(form, "api_key"), origin, _scopes(form))


def parsed_form(content_type: str, body: bytes) -> dict[str, str]:
    """The parameters of a form; one without a value counts as left out (RFC 6749, section 3.2).

    Raises:
        OAuthRefusal: it is no form, or names a parameter twice.
    """
    header = Message()
    header["content-type"] = content_type
    if header.get_content_type() != FORM:
        raise OAuthRefusal("invalid_request", f"The body must be a form: Content-Type: {FORM}.")
    if len(body) > _MAX_FORM_BYTES:
        raise OAuthRefusal("invalid_request", f"The form must have at most {_MAX_FORM_BYTES} bytes.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:  # a UnicodeDecodeError is one, too
        raise OAuthRefusal(
            "invalid_request", f"The body must be name=value pairs in UTF-8, at most {_MAX_PARAMETERS}."
        ) from None
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OAuthRefusal("invalid_request", f"Each parameter may be there once, not twice: {', '.join(twice)[:200]}.")
    return {name: value for name, value in pairs if value}


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise OAuthRefusal("invalid_request", f"The parameter {name} is missing.")
    return form[name]


def _scopes(form: Mapping[str, str]) -> frozenset[str] | None:
    if "scope" not in form:
        return None
    try:
        return scopes_in(form["scope"])
    except ValueError as error:
        raise OAuthRefusal("invalid_scope", f"The parameter scope {error}.") from None


def _invalid_client(authorization: str) -> OAuthRefusal:
    # Section 5.2: who tried to authenticate by the header is answered with its scheme.
    headers = (("www-authenticate", 'Basic realm="mirage"'),) if authorization else ()
    text = "Leave client credentials out: no clients are registered here, and what is in the form is enough."
    return OAuthRefusal("invalid_client", text, 401, headers)
