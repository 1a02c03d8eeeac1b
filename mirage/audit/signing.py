"""Signatures of the platform (JWS, RFC 7515, ES256), and the public keys that check them (JWK sets, RFC 7517)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode, base64url_encode

from mirage.audit.canonical import NotCanonical, canonical, parsed

ALGORITHM = "ES256"
KEY_ID_LENGTH = 43
"""Characters of a key's id."""

Keys = Mapping[str, ec.EllipticCurvePublicKey]
"""Public keys by their id."""

_jws = PyJWS(algorithms=[ALGORITHM])


class NotSigned(ValueError):
    """A signature isn't good, or isn't of a key that is trusted; the message says which."""


class UnusableKeys(ValueError):
    """What was given as public keys is none."""


def signed(payload: bytes, kind: str, private_key: ec.EllipticCurvePrivateKey, *, detached: bool = False) -> str:
    """A payload with its signature, in the compact form; where it is detached (RFC 7797), the signature alone.

    Args:
        payload: what is signed.
        kind: what it is, so that a signature of one kind can't be shown as one of another (the header `typ`).
        private_key: an ES256 key.
        detached: whether the payload is left out.
    """
    headers = {"kid": key_id(private_key.public_key()), "typ": kind}
    return _jws.encode(payload, private_key, ALGORITHM, headers, is_payload_detached=detached)


def payload_of(token: str, kind: str, keys: Keys, detached_payload: bytes | None = None) -> bytes:
    """What was signed, once the signature has been checked.

    Raises:
        NotSigned: it isn't of this kind, not signed by one of these keys, or was changed.
    """
    name = signer_of(token)
    if name not in keys:
        raise NotSigned(f"It is signed with the key {name}, which is not trusted.")
    try:
        found = _jws.decode_complete(token, keys[name], [ALGORITHM], detached_payload=detached_payload)
    except (PyJWTError, ValueError):
        raise NotSigned("The signature doesn't fit: what was signed has been changed.") from None
    # The last character of base64 has bits that mean nothing: one signature has one spelling.
    if found["header"].get("typ") != kind or token.rpartition(".")[2] != base64url_encode(found["signature"]).decode():
        raise NotSigned("The signature is of something else.")
    return cast("bytes", found["payload"])


def signer_of(token: str) -> str:
    """The id of the key that a signature says it was made with.

    Raises:
        NotSigned: it is no signature.
    """
    try:
        header = parsed(base64url_decode(token.partition(".")[0]))
        name = header["kid"]
    except (ValueError, TypeError, KeyError):
        raise NotSigned("It is no signature.") from None
    return str(name)


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """A key's id: its thumbprint (RFC 7638), so that the same key has the same id everywhere."""
    point = _point(key)
    return base64url_encode(hashlib.sha256(canonical(point)).digest()).decode()


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """A public key as a JWK."""
    return {**_point(key), "kid": key_id(key), "use": "sig", "alg": ALGORITHM}


def keys_of(key_set: Any) -> dict[str, ec.EllipticCurvePublicKey]:
    """The keys of a JWK set that has been parsed.

    Raises:
        UnusableKeys: it is no JWK set, or there is a key in it that isn't for ES256, or isn't named by its thumbprint.
    """
    jwks = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(jwks, list) or not jwks:
        raise UnusableKeys('Public keys must be a JWK set: {"keys": [...]}, with one key at least.')
    found = {}
    for jwk in jwks:
        key = _key(jwk)
        if jwk != public_jwk(key):
            raise UnusableKeys("A key must have its thumbprint (RFC 7638) for its id, and be for ES256 signatures.")
        found[key_id(key)] = key
    return found


def parsed_keys(text: str | bytes) -> dict[str, ec.EllipticCurvePublicKey]:
    """The keys of a JWK set in JSON.

    Raises:
        UnusableKeys: as `keys_of`.
    """
    try:
        return keys_of(parsed(text))
    except NotCanonical as error:
        raise UnusableKeys(str(error)) from None


def _key(jwk: Any) -> ec.EllipticCurvePublicKey:
    try:
        key = ECAlgorithm.from_jwk(jwk if isinstance(jwk, dict) else {})
    except (PyJWTError, ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableKeys("A key must be a public one for ES256 (EC, P-256).")
    return key


def _point(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    # RFC 7638, section 3.2: exactly these members; in this order, and without spaces, as the canonical form is.
    return {name: str(jwk[name]) for name in ("crv", "kty", "x", "y")}


def key_set(keys: Keys) -> dict[str, list[dict[str, str]]]:
    """Keys as a JWK set."""
    return {"keys": [public_jwk(key) for key in keys.values()]}


def key_set_text(keys: Keys) -> bytes:
    """Keys as a JWK set in JSON."""
    return json.dumps(key_set(keys), separators=(",", ":")).encode()
