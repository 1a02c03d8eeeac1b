"""The RPCs of SessionService."""

from uuid import UUID

from mirage.auth.v1 import account_pb2, session_pb2, session_pb2_grpc
from servicekit.identity import caller
from servicekit.limits import check
from servicekit.origin import client_address
from services.auth import convert
from services.auth.accounts import Accounts
from services.auth.servicers.origin import Context, origin_of
from services.auth.sessions import Sessions


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """Signing up, in and out, and devices."""

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        self._accounts = accounts
        self._sessions = sessions

    async def Register(self, request: session_pb2.RegisterRequest, context: Context) -> account_pb2.User:
        """Creates an account."""
        values = {"email": request.email, "password": request.password, "display_name": request.display_name}
        return convert.user_to_proto(await self._accounts.register(values, client_address()))

    async def Login(self, request: session_pb2.LoginRequest, context: Context) -> session_pb2.TokenPair:
        """Opens a session."""
        values = {"email": request.email, "password": request.password}
        return convert.grant_to_proto(await self._sessions.login(values, origin_of(context)))

    async def Refresh(self, request: session_pb2.RefreshRequest, context: Context) -> session_pb2.TokenPair:
        """Renews a pair of tokens."""
        return convert.grant_to_proto(await self._sessions.refresh(request.refresh_token, origin_of(context)))

    async def Logout(self, request: session_pb2.LogoutRequest, context: Context) -> session_pb2.LogoutResponse:
        """Ends this session or all of them."""
        ended = await self._sessions.logout(caller(), everywhere=request.all)
        return session_pb2.LogoutResponse(ended_sessions=ended)

    async def ChangePassword(
        self, request: session_pb2.ChangePasswordRequest, context: Context
    ) -> session_pb2.ChangePasswordResponse:
        """Sets a new password."""
        values = {"old_password": request.old_password, "new_password": request.new_password}
        ended = await self._accounts.change_password(caller(), values, client_address())
        return session_pb2.ChangePasswordResponse(ended_sessions=ended)

    async def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: Context
    ) -> session_pb2.ListSessionsResponse:
        """Lists the caller's devices."""
        check(request)
        current = caller()
        page, next_token = await self._sessions.page(current, request.page_size, request.page_token)
        return session_pb2.ListSessionsResponse(
            sessions=[convert.session_to_proto(session, UUID(current.session_id)) for session in page],
            next_page_token=next_token,
        )

    async def DeleteSession(
        self, request: session_pb2.DeleteSessionRequest, context: Context
    ) -> session_pb2.DeleteSessionResponse:
        """Ends one of the caller's sessions."""
        await self._sessions.end(caller(), request.session_id)
        return session_pb2.DeleteSessionResponse()
