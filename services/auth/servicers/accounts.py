"""The RPCs of AccountService."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit.downloads import send_file
from servicekit.identity import caller
from servicekit.object_store import content_disposition
from servicekit.origin import client_address
from servicekit.structs import from_struct
from services.auth import convert
from services.auth.accounts import Accounts
from services.auth.exports import Exports
from services.auth.servicers.origin import Context


class AccountServicer(account_pb2_grpc.AccountServiceServicer):
    """The caller's own account and profile."""

    def __init__(self, accounts: Accounts, exports: Exports) -> None:
        self._accounts = accounts
        self._exports = exports

    async def GetMe(self, request: account_pb2.GetMeRequest, context: Context) -> account_pb2.User:
        """Returns the caller's account."""
        return convert.user_to_proto(await self._accounts.me(caller()))

    async def UpdateMe(self, request: account_pb2.UpdateMeRequest, context: Context) -> account_pb2.User:
        """Changes the caller's account."""
        present = {field.name: value for field, value in request.ListFields()}
        return convert.user_to_proto(await self._accounts.update_me(caller(), present, client_address()))

    async def GetProfile(self, request: account_pb2.GetProfileRequest, context: Context) -> account_pb2.Profile:
        """Returns the caller's details."""
        return convert.profile_to_proto(await self._accounts.profile(caller()))

    async def UpdateProfile(self, request: account_pb2.UpdateProfileRequest, context: Context) -> account_pb2.Profile:
        """Changes the caller's details."""
        present = {field.name: value for field, value in request.ListFields()}
        if "preferences" in present:
            present["preferences"] = from_struct(request.preferences)
        return convert.profile_to_proto(await self._accounts.update_profile(caller(), present))

    async def ExportAccount(
        self, request: account_pb2.ExportAccountRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        """Streams everything about the caller."""
        headers = {"content-disposition": content_disposition("mirage-export.json")}
        async with aclosing(self._exports.stream(caller())) as pieces:
            async for body in send_file(context, headers, "application/json", pieces):
                yield body

    async def DeleteAccount(
        self, request: account_pb2.DeleteAccountRequest, context: Context
    ) -> account_pb2.DeleteAccountResponse:
        """Ends the caller's account."""
        deletion_id = await self._accounts.delete(caller(), {"password": request.password}, client_address())
        return account_pb2.DeleteAccountResponse(deletion_id=str(deletion_id))
