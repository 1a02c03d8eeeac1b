"""The RPCs of AccountService."""

from mirage.auth.v1 import account_pb2, account_pb2_grpc
from servicekit.identity import caller
from servicekit.origin import client_address
from servicekit.structs import from_struct
from services.auth import convert
from services.auth.accounts import Accounts
from services.auth.servicers.origin import Context


class AccountServicer(account_pb2_grpc.AccountServiceServicer):
    """The caller's own account and profile."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

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
