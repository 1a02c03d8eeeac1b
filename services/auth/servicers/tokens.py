"""The RPCs of KeyService and ServiceIdentityService."""

from google.api import httpbody_pb2

from mirage.auth.v1 import token_pb2, token_pb2_grpc
from services.auth import convert
from services.auth.identities import ServiceIdentities
from services.auth.keys import SigningKeys
from services.auth.servicers.origin import Context

# For as long may a key set be kept; a new key is published for longer than that before it signs.
_MAX_AGE_S = 60


class KeyServicer(token_pb2_grpc.KeyServiceServicer):
    """The public keys that tokens are checked with."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    async def GetKeySet(self, request: token_pb2.GetKeySetRequest, context: Context) -> httpbody_pb2.HttpBody:
        """Returns the JWK set, raw: no envelope around it."""
        await context.send_initial_metadata((("x-raw-body", "1"), ("cache-control", f"public, max-age={_MAX_AGE_S}")))
        return httpbody_pb2.HttpBody(content_type="application/jwk-set+json", data=self._keys.key_set())


class ServiceIdentityServicer(token_pb2_grpc.ServiceIdentityServiceServicer):
    """Identities of the platform's own services."""

    def __init__(self, identities: ServiceIdentities) -> None:
        self._identities = identities

    async def IssueServiceToken(
        self, request: token_pb2.IssueServiceTokenRequest, context: Context
    ) -> token_pb2.ServiceToken:
        """Trades a client id and secret for a token."""
        return convert.service_token_to_proto(self._identities.issue(request.client_id, request.client_secret))
