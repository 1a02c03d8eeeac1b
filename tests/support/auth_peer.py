"""The auth service as other services call it, small and by hand but honest: a real server that publishes real keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from jwt.algorithms import ECAlgorithm

from mirage.auth.v1 import contact_pb2, contact_pb2_grpc, revocation_pb2, revocation_pb2_grpc, token_pb2, token_pb2_grpc
from servicekit.errors import Unauthenticated
from servicekit.server import Application, running
from servicekit.settings import ServiceSettings
from tests.support.servers import NO_DATABASE
from tests.support.tokens import Tokens

SECRET = "service-secret-0123456789"
"""The secret of every service."""


class AuthPeer(
    contact_pb2_grpc.ContactServiceServicer,
    revocation_pb2_grpc.RevocationServiceServicer,
    token_pb2_grpc.KeyServiceServicer,
    token_pb2_grpc.ServiceIdentityServiceServicer,
):
    """Publishes the tests' signing key, gives services their tokens, and has nothing revoked."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def WatchRevocations(
        self, request: revocation_pb2.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[revocation_pb2.RevocationBatch]:
        """Nothing, and signs of life."""
        yield revocation_pb2.RevocationBatch(restart=True, complete=True)
        while True:
            await asyncio.sleep(1)
            yield revocation_pb2.RevocationBatch(complete=True)

    async def GetContact(self, request: contact_pb2.GetContactRequest, context: Any) -> contact_pb2.Contact:
        """Everybody has an address that their id tells."""
        email = f"{request.user_id}@example.org"
        return contact_pb2.Contact(user_id=request.user_id, email=email, display_name="Ada", active=True)

    async def GetKeySet(self, request: token_pb2.GetKeySetRequest, context: Any) -> HttpBody:
        """The key set."""
        jwk = json.loads(ECAlgorithm.to_jwk(await self._tokens.key(self._tokens.key_id)))
        key_set = {"keys": [{**jwk, "kid": self._tokens.key_id, "use": "sig", "alg": "ES256"}]}
        return HttpBody(content_type="application/json", data=json.dumps(key_set).encode())

    async def IssueServiceToken(
        self, request: token_pb2.IssueServiceTokenRequest, context: Any
    ) -> token_pb2.ServiceToken:
        """A service's token, for its secret."""
        if request.client_secret != SECRET:
            raise Unauthenticated
        return token_pb2.ServiceToken(access_token=self._tokens.service(request.client_id), expires_in=600)


@asynccontextmanager
async def serving_auth(tokens: Tokens) -> AsyncIterator[str]:
    """Serves auth's part; yields the address."""
    peer = AuthPeer(tokens)

    def register(server: grpc.aio.Server) -> None:
        contact_pb2_grpc.add_ContactServiceServicer_to_server(peer, server)
        revocation_pb2_grpc.add_RevocationServiceServicer_to_server(peer, server)
        token_pb2_grpc.add_KeyServiceServicer_to_server(peer, server)
        token_pb2_grpc.add_ServiceIdentityServiceServicer_to_server(peer, server)

    names = (
        "mirage.auth.v1.ContactService",
        "mirage.auth.v1.KeyService",
        "mirage.auth.v1.RevocationService",
        "mirage.auth.v1.ServiceIdentityService",
    )
    async with serving_peer(Application(names, register, tokens.verifier)) as address:
        yield address


@asynccontextmanager
async def serving_peer(parts: Application, port: int = 0) -> AsyncIterator[str]:
    """Serves a hand-written part of another service; yields the address."""

    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        yield parts

    settings = ServiceSettings(database_url=NO_DATABASE, grpc_port=port, shutdown_grace_seconds=0)
    async with running(settings, application()) as address:
        yield address
