"""Access tokens for tests, signed by a key that only this test session knows."""

import time
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from servicekit.identity import ALGORITHM, TokenVerifier
from servicekit.tickets import CLAIM, TicketedStream, ticket_audience

ISSUER = "mirage"
AUDIENCE = "mirage-api"
_LIFETIME_SECONDS = 1800


class Tokens:
    """Makes access tokens like the auth service's, and is the key source that verifies them."""

    def __init__(self) -> None:
        self._private_key = ec.generate_private_key(ec.SECP256R1())
        self.key_id = uuid4().hex

    async def key(self, key_id: str) -> Any:
        """The public key of this id; None if it isn't ours."""
        return self._private_key.public_key() if key_id == self.key_id else None

    @property
    def verifier(self) -> TokenVerifier:
        """What a server under test checks these tokens with."""
        return TokenVerifier(self, issuer=ISSUER, audience=AUDIENCE)

    def user(self, user_id: UUID | str | None = None, **claims: Any) -> str:
        """A person's token; a new person where none is named."""
        return self.token("user", str(user_id or uuid4()), sid=str(uuid4()), **claims)

    def administrator(self, user_id: UUID | str | None = None, **claims: Any) -> str:
        """An administrator's token; a new person where none is named."""
        return self.token("administrator", str(user_id or uuid4()), sid=str(uuid4()), **claims)

    def ticket(self, method: str, fields: dict[str, str], **claims: Any) -> str:
        """A ticket for the stream of `/package.Service/Method` whose request holds these fields."""
        stream = TicketedStream(method, fields)
        return self.user(**{"aud": ticket_audience(AUDIENCE), CLAIM: stream.claim, **claims})

    def service(self, name: str, **claims: Any) -> str:
        """A service's token."""
        return self.token("service", name, **claims)

    def token(self, role: str, subject: str, /, **claims: Any) -> str:
        """A token of any role; `claims` replace or add to the usual ones, and one that is None is left out."""
        now = int(time.time())
        usual = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": role,
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
        }
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(payload, self._private_key, algorithm=ALGORITHM, headers={"kid": self.key_id})
