"""The OAuth 2 token endpoint, held against RFC 6749."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from google.api import httpbody_pb2

from mirage.auth.v1 import account_pb2, oauth_pb2
from services.auth.scopes import SCOPES
from tests.auth.platform import PASSWORD, AuthService, Metadata, bearer, claims_of
from tests.support.errors import refused

FORM = "application/x-www-form-urlencoded"


async def post(
    auth: AuthService, form: dict[str, str] | bytes, content_type: str = FORM, metadata: Metadata = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """The answer to a form, and the headers of it."""
    data = form if isinstance(form, bytes) else urlencode(form).encode()
    body = httpbody_pb2.HttpBody(content_type=content_type, data=data)
    call = auth.tokens.IssueToken(oauth_pb2.IssueTokenRequest(body=body), metadata=metadata)
    headers = {key: str(value) for key, value in await call.initial_metadata()}
    answer = await call
    assert answer.content_type == "application/json"
    assert headers["x-raw-body"] == "1"
    assert (headers["cache-control"], headers["pragma"]) == ("no-store", "no-cache")
    return json.loads(answer.data), headers


async def test_password_and_refresh(auth: AuthService) -> None:
    """A password gives a pair, whose refresh token gives the next one; a used one is an invalid grant."""
    user = await auth.register()
    answer, headers = await post(auth, {"grant_type": "password", "username": user.email, "password": PASSWORD})
    assert "x-http-code" not in headers
    assert answer.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 1800)
    assert (await auth.me(answer["access_token"])).user_id == user.user_id
    form = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    renewed, _ = await post(auth, form)
    assert (await auth.me(renewed["access_token"])).user_id == user.user_id
    refusal, headers = await post(auth, form)
    assert (refusal["error"], headers["x-http-code"]) == ("invalid_grant", "400")


async def test_limited_sessions_stay_limited(auth: AuthService) -> None:
    """A session that was opened with a scope keeps it through every renewal, may be narrowed, and never widened."""
    user = await auth.register()
    form = {
        "grant_type": "password",
        "username": user.email,
        "password": PASSWORD,
        "scope": "datasets:read account:read",
    }
    pair, _ = await post(auth, form)
    assert pair["scope"] == claims_of(pair["access_token"])["scope"] == "account:read datasets:read"
    renew = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    refusal, headers = await post(auth, renew | {"scope": "account:write"})
    assert (refusal["error"], headers["x-http-code"]) == ("invalid_scope", "400")
    narrow, _ = await post(auth, renew | {"scope": "datasets:read"})  # the refused try has used nothing up
    assert narrow["scope"] == "datasets:read"
    async with refused("INSUFFICIENT_SCOPE"):
        await auth.me(narrow["access_token"])
    wide = await auth.refresh(narrow["refresh_token"])  # by the other route it is the session's, too
    assert claims_of(wide.access_token)["scope"] == "account:read datasets:read"
    await auth.me(wide.access_token)
    async with refused("INSUFFICIENT_SCOPE"):
        await auth.accounts.UpdateMe(account_pb2.UpdateMeRequest(), metadata=bearer(wide.access_token))


async def test_api_key(auth: AuthService) -> None:
    """A key gives an access token that says its scope, and no refresh token; what is no key is an invalid grant."""
    key = await auth.api_key(await auth.user(), ["account:read", "datasets:read"])
    form = {"grant_type": "urn:mirage:api-key", "api_key": key.key}
    answer, _ = await post(auth, form)
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert answer["scope"] == "account:read datasets:read"
    narrow, _ = await post(auth, form | {"scope": "account:read"})
    assert narrow["scope"] == "account:read"
    for wrong, error in (
        ({"api_key": "mirage_ak_x"}, "invalid_grant"),
        ({"scope": "account:write"}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
        ({"api_key": ""}, "invalid_request"),
    ):
        refusal, headers = await post(auth, form | wrong)
        assert (refusal["error"], headers["x-http-code"]) == (error, "400"), wrong


async def test_wrong_scopes_are_told_with_the_right_ones(auth: AuthService) -> None:
    """A scope that doesn't exist is answered with those that do, one that the key lacks with those that it has."""
    key = await auth.api_key(await auth.user(), ["account:read", "datasets:read"])
    form = {"grant_type": "urn:mirage:api-key", "api_key": key.key}
    refusal, _ = await post(auth, form | {"scope": "bogus datasets:read"})
    told = f"The parameter scope must be one or more of {', '.join(SCOPES)}; 'bogus' is not among them."
    assert refusal["error_description"] == told
    refusal, _ = await post(auth, form | {"scope": " ".join(f"s{n}" for n in range(7))})
    assert refusal["error_description"].endswith("'s0', 's1', 's2', 's3', 's4' and 2 more are not among them.")
    refusal, _ = await post(auth, form | {"scope": "account:write datasets:write datasets:read"})
    assert refusal["error_description"] == (
        "What you sign in with doesn't have the scopes account:write, datasets:write. "
        "Choose from what it has: account:read, datasets:read."
    )


async def test_unknown_account_and_wrong_password_are_one(auth: AuthService) -> None:
    """Whether an account exists isn't told."""
    user = await auth.register()
    tried = {"grant_type": "password", "password": "not the password"}
    known, _ = await post(auth, tried | {"username": user.email})
    unknown, _ = await post(auth, tried | {"username": "nobody@example.org"})
    assert known == unknown
    assert known["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_request"),
        (b"grant_type", "invalid_request"),
        (b"grant_type=password", "invalid_request"),
        (b"grant_type=password&username=a", "invalid_request"),
        (b"grant_type=password&username=a&password=", "invalid_request"),
        (b"grant_type=", "invalid_request"),
        (b"username=a&password=b", "invalid_request"),
        (b"grant_type=refresh_token", "invalid_request"),
        (b"grant_type=urn:mirage:api-key", "invalid_request"),
        (b"grant_type=password&grant_type=password&username=a&password=b", "invalid_request"),
        (b"grant_type=password&username=a&password=b&username=a", "invalid_request"),
        (b"grant_type=password&username=a&password=b&extra=1&extra=2", "invalid_request"),
        (b"grant_type=password&scope=a&scope=b", "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=%ff%fe", "invalid_request"),
        (b"\xff\xfe", "invalid_request"),
        (b"grant_type=password&username=a&password=b&" + b"&".join(b"p%d=1" % n for n in range(60)), "invalid_request"),
        (b"grant_type=password&padding=" + b"x" * 20_000, "invalid_request"),
        (b"grant_type=authorization_code&code=x", "unsupported_grant_type"),
        (b"grant_type=PASSWORD&username=a&password=b", "unsupported_grant_type"),
        (b"grant_type=%22%5C%0a%C3%A9%00", "unsupported_grant_type"),
        (b"grant_type=password&username=a&password=b", "invalid_grant"),
        (b"grant_type=password&username=%00&password=b%00", "invalid_grant"),
        (b"grant_type=refresh_token&refresh_token=%00", "invalid_grant"),
        (b"grant_type=password&username=a&password=b&scope=nothing", "invalid_scope"),
    ],
)
async def test_wrong_forms(auth: AuthService, body: bytes, error: str) -> None:
    """Whatever is wrong with a form has the RFC's name, status 400 and a description of allowed characters."""
    refusal, headers = await post(auth, body)
    assert (refusal["error"], headers["x-http-code"]) == (error, "400"), refusal
    text = refusal["error_description"]
    assert text
    assert all(" " <= character <= "~" and character not in '"\\' for character in text)


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data; boundary=x", "text/plain", ";"])
async def test_other_kinds_of_bodies(auth: AuthService, content_type: str) -> None:
    """What isn't declared a form isn't read as one; parameters of the type don't matter."""
    body = b"grant_type=password&username=a&password=b"
    assert (await post(auth, body, content_type))[0]["error"] == "invalid_request"
    assert (await post(auth, body, f"{FORM}; charset=UTF-8"))[0]["error"] == "invalid_grant"
    assert (await post(auth, body, FORM.upper()))[0]["error"] == "invalid_grant"


async def test_client_credentials_are_refused(auth: AuthService) -> None:
    """There are no clients: whoever authenticates as one is told so, in the header's scheme; an id alone is ignored."""
    user = await auth.register()
    form = {"grant_type": "password", "username": user.email, "password": PASSWORD}
    refusal, headers = await post(auth, form, metadata=(("authorization", "Basic YTpi"),))
    assert (refusal["error"], headers["x-http-code"]) == ("invalid_client", "401")
    assert headers["www-authenticate"].startswith("Basic ")
    refusal, headers = await post(auth, form | {"client_id": "a", "client_secret": "b"})
    assert (refusal["error"], headers["x-http-code"]) == ("invalid_client", "401")
    answer, _ = await post(auth, form | {"client_id": "a", "unknown": "b"}, metadata=bearer("an old token"))
    assert answer["access_token"]


async def test_a_request_without_a_form(auth: AuthService) -> None:
    """An empty message is answered like an empty body."""
    answer = await auth.tokens.IssueToken(oauth_pb2.IssueTokenRequest())
    assert json.loads(answer.data)["error"] == "invalid_request"
