"""Pages: clamped sizes, and tokens that are good for their own query only."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.errors import InvalidRequest
from servicekit.paging import decode_page_token, encode_page_token, page_limit


def test_page_size() -> None:
    """0 is the default, a large size is clamped, a negative one refused."""
    assert [page_limit(0), page_limit(7), page_limit(10**6)] == [50, 7, 200]
    with pytest.raises(InvalidRequest, match="must be 0 for 50, or how many are wanted; a page has at most 200"):
        page_limit(-1)


def test_round_trip() -> None:
    """A token gives back its key to the same query, and nothing is the first page."""
    query = {"owner": "a", "state": 2}
    token = encode_page_token(query, {"id": "x", "time": 1.5})
    assert decode_page_token(token, {"state": 2, "owner": "a"}) == {"id": "x", "time": 1.5}
    assert decode_page_token("", query) is None


def test_token_of_another_query() -> None:
    """A token is refused by another query."""
    token = encode_page_token({"state": 2}, {"id": "x"})
    with pytest.raises(InvalidRequest):
        decode_page_token(token, {"state": 3})


@given(st.text(min_size=1))
def test_forged_token(token: str) -> None:
    """Whatever somebody makes up is refused as a wrong field, never an accident inside."""
    with pytest.raises(InvalidRequest):
        decode_page_token(token, {"state": 2})


def test_bottomless_token() -> None:
    """A token that holds brackets without end is refused like any other that is none of ours."""
    token = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(InvalidRequest):
        decode_page_token(token, {"state": 2})
