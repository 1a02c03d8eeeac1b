"""Tokens: what is forged, stale or for somebody else is refused."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from servicekit.access import Role
from servicekit.errors import Unauthenticated
from tests.support.tokens import Tokens


async def test_good_token(tokens: Tokens) -> None:
    """A good token names its caller."""
    caller = await tokens.verifier.authenticate(tokens.service("dataset"))
    assert (caller.subject, caller.role) == ("dataset", Role.SERVICE)


async def test_service_is_no_person(tokens: Tokens) -> None:
    """A service's token can't stand for a user."""
    caller = await tokens.verifier.authenticate(tokens.service("dataset"))
    with pytest.raises(Unauthenticated):
        _ = caller.user_id


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_000_000_000},
        {"nbf": 100_000_000_000},
        {"iat": 100_000_000_000},
        {"exp": None},
        {"iss": "somebody"},
        {"aud": "something"},
        {"aud": None},
        {"sub": None},
        {"sub": "no-id"},
        {"jti": None},
        {"role": "root"},
        {"role": None},
    ],
    ids=str,
)
async def test_wrong_claims(tokens: Tokens, claims: dict[str, Any]) -> None:
    """A token with a wrong or missing claim is refused."""
    with pytest.raises(Unauthenticated):
        await tokens.verifier.authenticate(tokens.user(**claims))


async def test_forged_signatures(tokens: Tokens) -> None:
    """No signature, another key's, or an HMAC made with the public key: all refused."""
    good = tokens.user()
    claims = jwt.decode(good, options={"verify_signature": False})
    headers = {"kid": tokens.key_id}
    public_key = await tokens.key(tokens.key_id)
    pem = public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    # PyJWT won't make such a token from a PEM, an attacker's tool would: the bytes are signed by hand.
    hmac_signed = jwt.api_jws.PyJWS()
    hmac_signed._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]
    forged = [
        jwt.encode(claims, None, algorithm="none", headers=headers),  # type: ignore[arg-type]  # no key is the point
        jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers=headers),
        hmac_signed.encode(_json(claims), pem, algorithm="HS256", headers=headers),
        jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "other"}),
        good[:-8] + "AAAAAAAA",
        "",
        "a.b.c",
        "ü",
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            await tokens.verifier.authenticate(token)


def _json(claims: dict[str, Any]) -> bytes:
    import json

    return json.dumps(claims).encode()
