"""The RPC of TokenService: a form in, raw JSON out, also where it is refused."""

import json
from typing import Any

from google.api import httpbody_pb2

from mirage.auth.v1 import oauth_pb2, oauth_pb2_grpc
from services.auth.oauth import OAuthRefusal, TokenEndpoint, parsed_form
from services.auth.scopes import scope_text
from services.auth.servicers.origin import Context, origin_of
from services.auth.sessions import Grant

# RFC 6749, section 5.1; `x-raw-body` keeps the gateway from putting its envelope around it.
_HEADERS = (("x-raw-body", "1"), ("cache-control", "no-store"), ("pragma", "no-cache"))


class TokenServicer(oauth_pb2_grpc.TokenServiceServicer):
    """The OAuth 2 token endpoint."""

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    async def IssueToken(self, request: oauth_pb2.IssueTokenRequest, context: Context) -> httpbody_pb2.HttpBody:
        """Trades what the form holds for tokens.

        A refusal is an answer like any other: OAuth has a shape of its own for it, which a status can't carry.
        """
        metadata = dict(context.invocation_metadata() or ())
        try:
            form = parsed_form(request.body.content_type, request.body.data)
            origin = origin_of(context)
            grant = await self._endpoint.grant(form, str(metadata.get("authorization", "")), origin)
        except OAuthRefusal as refusal:
            headers = (*_HEADERS, ("x-http-code", str(refusal.status)), *refusal.headers)
            return await _answer(context, refusal.document, headers)
        return await _answer(context, _document(grant), _HEADERS)


async def _answer(
    context: Context, document: dict[str, Any], headers: tuple[tuple[str, str], ...]
) -> httpbody_pb2.HttpBody:
    await context.send_initial_metadata(headers)
    return httpbody_pb2.HttpBody(content_type="application/json", data=json.dumps(document).encode())


def _document(grant: Grant) -> dict[str, Any]:
    """A successful answer (RFC 6749, section 5.1)."""
    document: dict[str, Any] = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": grant.expires_in_s,
    }
    if grant.refresh_token:
        document["refresh_token"] = grant.refresh_token
    if grant.scopes is not None:
        document["scope"] = scope_text(grant.scopes)
    return document
