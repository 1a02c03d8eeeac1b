"""Lists: a clamped page size, and opaque tokens that hold the key of the last row.

A token is good only for the query it was made for: it carries that query's fingerprint.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from servicekit.errors import InvalidRequest, Violation

_LONGEST_TOKEN = 500  # characters; ours are shorter


def page_limit(page_size: int, *, default: int = 50, maximum: int = 200) -> int:
    """Rows of a page: 0 means the default, a large size is clamped.

    Raises:
        InvalidRequest: the size is negative.
    """
    if page_size < 0:
        raise InvalidRequest(
            [Violation("page_size", f"must be 0 for {default}, or how many are wanted; a page has at most {maximum}")]
        )
    return min(page_size or default, maximum)


def encode_page_token(query: Mapping[str, Any], key: Mapping[str, Any]) -> str:
    """The token of the page after the row with this key (JSON values by column)."""
    content = json.dumps([_fingerprint(query), dict(key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def decode_page_token(token: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
    """The key in a token; None for no token, that is, the first page.

    Raises:
        InvalidRequest: the token is none of ours, or of another query.
    """
    if not token:
        return None
    if len(token) > _LONGEST_TOKEN:  # JSON nested without end would exhaust the stack
        raise _wrong_token()
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        fingerprint, key = json.loads(content)
    except (binascii.Error, ValueError, TypeError):
        raise _wrong_token() from None
    if not isinstance(key, dict) or fingerprint != _fingerprint(query):
        raise _wrong_token()
    return key


def _wrong_token() -> InvalidRequest:
    return InvalidRequest(
        [Violation("page_token", "must be the next_page_token of a page of the same query, unchanged")]
    )


def _fingerprint(query: Mapping[str, Any]) -> str:
    canonical = json.dumps(dict(query), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
