"""The RPCs of ApiKeyService."""

from mirage.auth.v1 import api_key_pb2, api_key_pb2_grpc
from servicekit.errors import InvalidRequest, Violation
from servicekit.identity import caller
from servicekit.limits import check
from servicekit.timestamps import from_timestamp
from services.auth import convert
from services.auth.api_keys import ApiKeys
from services.auth.scopes import scopes_in
from services.auth.servicers.origin import Context, origin_of


class ApiKeyServicer(api_key_pb2_grpc.ApiKeyServiceServicer):
    """Long-lived keys for programs."""

    def __init__(self, api_keys: ApiKeys) -> None:
        self._api_keys = api_keys

    async def CreateApiKey(self, request: api_key_pb2.CreateApiKeyRequest, context: Context) -> api_key_pb2.ApiKey:
        """Makes a key."""
        expiry = from_timestamp(request.expire_time, "expire_time") if request.HasField("expire_time") else None
        values = {
            "name": request.name,
            "scopes": list(request.scopes),
            "expire_time": expiry,
        }
        made = await self._api_keys.create(caller(), values)
        return convert.api_key_to_proto(made.row, made.text)

    async def ListApiKeys(
        self, request: api_key_pb2.ListApiKeysRequest, context: Context
    ) -> api_key_pb2.ListApiKeysResponse:
        """Lists the caller's keys."""
        check(request)
        page, next_token = await self._api_keys.page(caller(), request.page_size, request.page_token)
        return api_key_pb2.ListApiKeysResponse(
            api_keys=[convert.api_key_to_proto(key) for key in page], next_page_token=next_token
        )

    async def DeleteApiKey(
        self, request: api_key_pb2.DeleteApiKeyRequest, context: Context
    ) -> api_key_pb2.DeleteApiKeyResponse:
        """Deletes one of the caller's keys."""
        await self._api_keys.delete(caller(), request.key_id)
        return api_key_pb2.DeleteApiKeyResponse()

    async def ExchangeApiKey(
        self, request: api_key_pb2.ExchangeApiKeyRequest, context: Context
    ) -> api_key_pb2.ApiKeyToken:
        """Trades a key for an access token."""
        try:
            scopes = scopes_in(request.scope) if request.scope else None
        except ValueError as error:
            raise InvalidRequest([Violation("scope", str(error))]) from None
        origin = origin_of(context)
        return convert.api_key_token_to_proto(await self._api_keys.exchange(request.api_key, origin, scopes))
