"""The RPCs of AdministrationService."""

from mirage.auth.v1 import account_pb2, administration_pb2, administration_pb2_grpc
from servicekit.limits import check
from services.auth import convert
from services.auth.administration import Administration
from services.auth.deletions import Deletions
from services.auth.servicers.origin import Context


class AdministrationServicer(administration_pb2_grpc.AdministrationServiceServicer):
    """Every account, for administrators."""

    def __init__(self, administration: Administration, deletions: Deletions) -> None:
        self._administration = administration
        self._deletions = deletions

    async def ListUsers(
        self, request: administration_pb2.ListUsersRequest, context: Context
    ) -> administration_pb2.ListUsersResponse:
        """Lists accounts."""
        check(request)
        filters = convert.filters_from_proto(request)
        page, next_token = await self._administration.page(filters, request.page_size, request.page_token)
        return administration_pb2.ListUsersResponse(
            users=[convert.user_to_proto(user) for user in page], next_page_token=next_token
        )

    async def GetUser(self, request: administration_pb2.GetUserRequest, context: Context) -> account_pb2.User:
        """Returns one account."""
        return convert.user_to_proto(await self._administration.get(request.user_id))

    async def DeleteUser(
        self, request: administration_pb2.DeleteUserRequest, context: Context
    ) -> administration_pb2.DeleteUserResponse:
        """Deletes one account."""
        deletion_id = await self._administration.delete(request.user_id)
        return administration_pb2.DeleteUserResponse(deletion_id=str(deletion_id))

    async def ListAccountDeletions(
        self, request: administration_pb2.ListAccountDeletionsRequest, context: Context
    ) -> administration_pb2.ListAccountDeletionsResponse:
        """Lists ends of accounts."""
        check(request)
        page, next_token = await self._deletions.page(
            request.page_size, request.page_token, unfinished=request.unfinished
        )
        return administration_pb2.ListAccountDeletionsResponse(
            deletions=[convert.deletion_to_proto(deletion) for deletion in page], next_page_token=next_token
        )

    async def ActivateUser(self, request: administration_pb2.ActivateUserRequest, context: Context) -> account_pb2.User:
        """Switches an account on."""
        return convert.user_to_proto(await self._administration.set_active(request.user_id, active=True))

    async def DeactivateUser(
        self, request: administration_pb2.DeactivateUserRequest, context: Context
    ) -> account_pb2.User:
        """Switches an account off."""
        return convert.user_to_proto(await self._administration.set_active(request.user_id, active=False))

    async def ToggleUser(self, request: administration_pb2.ToggleUserRequest, context: Context) -> account_pb2.User:
        """Switches an account to the other state."""
        return convert.user_to_proto(await self._administration.set_active(request.user_id, active=None))

    async def SetUserRole(self, request: administration_pb2.SetUserRoleRequest, context: Context) -> account_pb2.User:
        """Sets an account's role."""
        check(request)
        return convert.user_to_proto(await self._administration.set_role(request.user_id, request.role))
