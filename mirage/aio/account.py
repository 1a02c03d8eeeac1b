"""The caller's own account: `client.account`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirage.aio.paging import collect
from mirage.auth.v1 import account_pb2, api_key_pb2, session_pb2, stream_ticket_pb2
from mirage.connection import Connection
from mirage.job_requests import to_struct
from mirage.records.account import ApiKey, Profile, Session, StreamTicket, User
from mirage.tables import save, target


class AsyncAccount:
    """The caller's own account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def me(self) -> User:
        """Returns the account."""
        return User(await self._connection.call(self._connection.accounts.GetMe, account_pb2.GetMeRequest()))

    async def update(
        self, *, display_name: str | None = None, email: str | None = None, password: str | None = None
    ) -> User:
        """Changes the name or the address, which needs the password in force; what is None stays."""
        request = account_pb2.UpdateMeRequest(display_name=display_name, email=email, password=password)
        return User(await self._connection.call(self._connection.accounts.UpdateMe, request))

    async def profile(self) -> Profile:
        """Returns details beyond the account."""
        return Profile(
            await self._connection.call(self._connection.accounts.GetProfile, account_pb2.GetProfileRequest())
        )

    async def update_profile(
        self,
        *,
        organisation: str | None = None,
        locale: str | None = None,
        preferences: Mapping[str, Any] | None = None,
    ) -> Profile:
        """Changes details; what is None stays, `preferences` are replaced as a whole."""
        request = account_pb2.UpdateProfileRequest(
            organisation=organisation,
            locale=locale,
            preferences=None if preferences is None else to_struct(preferences),
        )
        return Profile(await self._connection.call(self._connection.accounts.UpdateProfile, request))

    async def change_password(self, old_password: str, new_password: str) -> int:
        """Sets a new password and ends every other session; returns how many those were."""
        request = session_pb2.ChangePasswordRequest(old_password=old_password, new_password=new_password)
        return (await self._connection.call(self._connection.sessions.ChangePassword, request)).ended_sessions

    async def sessions(self) -> list[Session]:
        """Returns the devices on which the account is signed in, the latest used first."""

        async def page(size: int, token: str) -> tuple[list[Session], str]:
            request = session_pb2.ListSessionsRequest(page_size=size, page_token=token)
            answer = await self._connection.call(self._connection.sessions.ListSessions, request)
            return [Session(each) for each in answer.sessions], answer.next_page_token

        return await collect(page, None)

    async def end_session(self, session_id: str) -> None:
        """Signs one device out."""
        request = session_pb2.DeleteSessionRequest(session_id=session_id)
        await self._connection.call(self._connection.sessions.DeleteSession, request)

    async def stream_ticket(self, stream: str) -> StreamTicket:
        """Returns a ticket by which a browser opens a stream, say of a page that this program serves.

        Args:
            stream: the stream's path, such as `/generation/watch/` with a job's id behind it.

        Raises:
            InvalidRequest: if that is no stream's path.
        """
        request = stream_ticket_pb2.CreateStreamTicketRequest(stream=stream)
        return StreamTicket(await self._connection.call(self._connection.stream_tickets.CreateStreamTicket, request))

    async def create_api_key(self, name: str, scopes: Sequence[str], *, expire_time: datetime | None = None) -> ApiKey:
        """Makes a key for a program; its `key` is told only now.

        Args:
            name: what to call it.
            scopes: what it may be used for, such as `["datasets:read"]`.
            expire_time: from when on it is refused; 90 days from now if None. Without a time zone it is local time.

        Raises:
            InvalidRequest: if the name, the scopes or the time won't do; `violations` tell everything at once.
            NotPossible: if there are as many keys as may be.
        """
        request = api_key_pb2.CreateApiKeyRequest(name=name, scopes=scopes)
        if expire_time is not None:
            request.expire_time.FromDatetime(expire_time.astimezone(UTC))
        return ApiKey(await self._connection.call(self._connection.api_keys.CreateApiKey, request))

    async def api_keys(self) -> list[ApiKey]:
        """Returns the account's keys, the newest first, without the keys themselves."""

        async def page(size: int, token: str) -> tuple[list[ApiKey], str]:
            request = api_key_pb2.ListApiKeysRequest(page_size=size, page_token=token)
            answer = await self._connection.call(self._connection.api_keys.ListApiKeys, request)
            return [ApiKey(each) for each in answer.api_keys], answer.next_page_token

        return await collect(page, None)

    async def delete_api_key(self, key_id: str) -> None:
        """Deletes a key; it and the tokens made from it are refused from then on."""
        request = api_key_pb2.DeleteApiKeyRequest(key_id=key_id)
        await self._connection.call(self._connection.api_keys.DeleteApiKey, request)

    async def export(self, path: str | Path = ".") -> Path:
        """Writes everything that the platform holds about the account's user to a JSON file, and returns its path.

        Tables and models are described in it, each with where to download it.

        Args:
            path: a file, or a directory in which it is called `mirage-export.json`.

        Raises:
            Unavailable: if a service can't be reached; nothing is written then.
        """
        file, _ = target(path, "json", "json", "mirage-export")
        return await save(self._exported(), file)

    async def delete(self, password: str) -> str:
        """Deletes the account with everything that is its user's, public datasets as well, for good.

        The account ends at once, the rest is gone within a minute. Returns the deletion's id, by which administrators
        see how far it is. An API key can't do this.

        Raises:
            InvalidRequest: if the password is wrong.
            NotPossible: if it is the last administrator's.
        """
        request = account_pb2.DeleteAccountRequest(password=password)
        deletion = await self._connection.call(self._connection.accounts.DeleteAccount, request)
        if self._connection.session is not None:
            await self._connection.session.forget()
        return deletion.deletion_id

    async def _exported(self) -> AsyncIterator[bytes]:
        request = account_pb2.ExportAccountRequest()
        async with aclosing(self._connection.receive(self._connection.accounts.ExportAccount, request)) as bodies:
            async for body in bodies:
                yield body.data
