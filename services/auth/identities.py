"""The identities of the platform's own services: client id and secret for a short-lived token."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from servicekit.security import SecurityEvent, report
from servicekit.settings import ConfigurationError
from servicekit.timestamps import utc_now
from services.auth.errors import InvalidClient
from services.auth.tokens import AccessToken, AccessTokens

_MIN_SECRET_LENGTH = 16
_OWN_NAME = "auth"


class ServiceIdentities:
    """Knows the services and signs their tokens."""

    def __init__(self, secrets: Mapping[str, str], access_tokens: AccessTokens, lifetime: timedelta) -> None:
        self._digests = {client_id: _digest(secret) for client_id, secret in secrets.items()}
        self._access_tokens = access_tokens
        self._lifetime = lifetime

    def issue(self, client_id: str, client_secret: str) -> AccessToken:
        """A token for a service.

        Raises:
            InvalidClient: no service has this id and this secret.
        """
        expected = self._digests.get(client_id)
        # Compared even if nobody has this id, and as digests of one length, so that time tells nothing.
        matches = hmac.compare_digest(expected or _digest(""), _digest(client_secret))
        if expected is None or not matches:
            report(SecurityEvent.SERVICE_SIGN_IN_FAILED, subject=client_id if expected is not None else None)
            raise InvalidClient
        return self._access_tokens.for_service(client_id=client_id, now=utc_now(), lifetime=self._lifetime)


class OwnIdentity:
    """The identity of auth itself among the services: it signs for itself what others fetch from it."""

    def __init__(self, access_tokens: AccessTokens, lifetime: timedelta) -> None:
        self._access_tokens = access_tokens
        self._lifetime = lifetime
        self._token = ""
        self._renew_at = float("-inf")

    async def token(self) -> str:
        """An access token with the role `service`."""
        if time.monotonic() >= self._renew_at:
            signed = self._access_tokens.for_service(client_id=_OWN_NAME, now=utc_now(), lifetime=self._lifetime)
            self._token = signed.token
            self._renew_at = time.monotonic() + self._lifetime.total_seconds() / 2
        return self._token

    def discard(self, token: str) -> None:
        """Drops a token that was refused, so that the next one is new."""
        if token == self._token:
            self._renew_at = float("-inf")


def load_secrets(file: Path) -> dict[str, str]:
    """The services' secrets by client id.

    Raises:
        ConfigurationError: the file can't be read, or isn't a JSON object of long enough strings.
    """
    shape = f"a JSON object from client id to a secret of at least {_MIN_SECRET_LENGTH} characters"
    try:
        secrets = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"SERVICE_SECRETS_FILE: {file} can't be read: {error.strerror}.") from error
    except ValueError:
        raise ConfigurationError(f"SERVICE_SECRETS_FILE: {file} is not valid JSON; it must be {shape}.") from None
    if not isinstance(secrets, dict) or not all(
        isinstance(secret, str) and len(secret) >= _MIN_SECRET_LENGTH for secret in secrets.values()
    ):
        raise ConfigurationError(f"SERVICE_SECRETS_FILE: {file} must be {shape}.")
    return secrets


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
