"""Everybody's accounts and jobs, for administrators: `client.admin`."""

from datetime import UTC, datetime

from mirage.activity.v1 import log_pb2, platform_health_pb2, provenance_pb2
from mirage.aio.jobs import AsyncJob
from mirage.aio.paging import collect
from mirage.auth.v1 import account_pb2, session_pb2
from mirage.auth.v1 import administration_pb2 as pb
from mirage.connection import Connection
from mirage.errors import InvalidRequest, NotFound
from mirage.generation.v1 import job_pb2
from mirage.records.account import User
from mirage.records.administration import Deletion, LogRecord
from mirage.records.health import PlatformHealth
from mirage.records.provenance import LogVerdict
from mirage.states import job_state_value

USER_STATES = {
    "": account_pb2.USER_STATE_UNSPECIFIED,
    "active": account_pb2.USER_STATE_ACTIVE,
    "inactive": account_pb2.USER_STATE_INACTIVE,
}


class AsyncAdmin:
    """Everybody's accounts and jobs; every call needs the administrator's role."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def users(self, *, role: str = "", state: str = "", text: str = "", limit: int | None = None) -> list[User]:
        """Returns accounts, the newest first.

        Args:
            role: only `user` or `administrator`.
            state: only `active` or `inactive`.
            text: only those whose address or name contains it, without regard to case.
            limit: how many; None for all.

        Raises:
            InvalidRequest: if there is no such state.
        """
        if state not in USER_STATES:
            raise InvalidRequest(f"{state!r} is no state of an account: active, inactive.", reason="UNKNOWN_STATE")

        async def page(size: int, token: str) -> tuple[list[User], str]:
            request = pb.ListUsersRequest(
                page_size=size, page_token=token, role=role, state=USER_STATES[state], text=text
            )
            answer = await self._connection.call(self._connection.users.ListUsers, request)
            return [User(each) for each in answer.users], answer.next_page_token

        return await collect(page, limit)

    async def user(self, user: str) -> User:
        """Returns one account, by its id or its address.

        Raises:
            NotFound: if there is none.
        """
        if "@" not in user:
            return User(await self._connection.call(self._connection.users.GetUser, pb.GetUserRequest(user_id=user)))
        found = [each for each in await self.users(text=user) if each.email.lower() == user.lower()]
        if not found:
            raise NotFound(f"There is no account with the address {user}.", reason="USER_NOT_FOUND")
        return found[0]

    async def create_user(self, email: str, password: str, display_name: str, role: str = "user") -> User:
        """Makes an account for somebody else, with a role."""
        request = session_pb2.RegisterRequest(email=email, password=password, display_name=display_name)
        made = User(await self._connection.call(self._connection.sessions.Register, request, signed_in=False))
        return made if role == made.role else await self.set_role(made.id, role)

    async def delete_user(self, user_id: str) -> str:
        """Deletes an account with everything that is its user's; the last administrator's can't be.

        The account ends at once, the rest is gone within a minute. Returns the deletion's id, which `deletions` tells.
        """
        request = pb.DeleteUserRequest(user_id=user_id)
        return (await self._connection.call(self._connection.users.DeleteUser, request)).deletion_id

    async def deletions(self, *, unfinished: bool = False, limit: int | None = None) -> list[Deletion]:
        """Returns the ends of accounts of the last thirty days, the latest first.

        Args:
            unfinished: only those of which something may be left.
            limit: how many; None for all.
        """

        async def page(size: int, token: str) -> tuple[list[Deletion], str]:
            request = pb.ListAccountDeletionsRequest(page_size=size, page_token=token, unfinished=unfinished)
            answer = await self._connection.call(self._connection.users.ListAccountDeletions, request)
            return [Deletion(each) for each in answer.deletions], answer.next_page_token

        return await collect(page, limit)

    async def logs(
        self,
        *,
        actor_id: str = "",
        action: str = "",
        object_type: str = "",
        object_id: str = "",
        owner_id: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = 100,
    ) -> list[LogRecord]:
        """Returns who did what to what, the latest first.

        Args:
            actor_id: only what this user did.
            action: only this kind, such as `job.approved`, or all of a noun, such as `job`.
            object_type: only what happened to objects of this type.
            object_id: only what happened to this object.
            owner_id: only what happened to what is this user's.
            since: only what came into the log then or later; without a time zone it is the local one.
            until: only what came before.
            limit: how many; None for all.

        Raises:
            InvalidRequest: if a filter is wrong; `violations` tell everything at once.
        """
        query = log_pb2.ListLogRecordsRequest(
            actor_id=actor_id, action=action, object_type=object_type, object_id=object_id, owner_id=owner_id
        )
        if since is not None:
            query.since.FromDatetime(since.astimezone(UTC))
        if until is not None:
            query.until.FromDatetime(until.astimezone(UTC))

        async def page(size: int, token: str) -> tuple[list[LogRecord], str]:
            request = log_pb2.ListLogRecordsRequest(page_size=size, page_token=token)
            request.MergeFrom(query)
            answer = await self._connection.call(self._connection.log.ListLogRecords, request)
            return [LogRecord(each) for each in answer.records], answer.next_page_token

        return await collect(page, limit)

    async def activate(self, user_id: str) -> User:
        """Lets an account sign in again."""
        request = pb.ActivateUserRequest(user_id=user_id)
        return User(await self._connection.call(self._connection.users.ActivateUser, request))

    async def deactivate(self, user_id: str) -> User:
        """Switches an account off and ends its sessions."""
        request = pb.DeactivateUserRequest(user_id=user_id)
        return User(await self._connection.call(self._connection.users.DeactivateUser, request))

    async def set_role(self, user_id: str, role: str) -> User:
        """Sets an account's role: `user` or `administrator`."""
        request = pb.SetUserRoleRequest(user_id=user_id, role=role)
        return User(await self._connection.call(self._connection.users.SetUserRole, request))

    async def verify_log(self) -> LogVerdict:
        """Has the platform check its whole log; takes half a minute for a million records."""
        request = provenance_pb2.VerifyLogRequest()
        # The gateway sets the limit.
        return LogVerdict(await self._connection.call(self._connection.audit.VerifyLog, request, timeout_s=None))

    async def health(self) -> PlatformHealth:
        """Returns how each service is, with its database, object store, queue and workers, be some of them down."""
        request = platform_health_pb2.GetPlatformHealthRequest()
        return PlatformHealth(await self._connection.call(self._connection.health.GetPlatformHealth, request))

    async def jobs(
        self, *, user_id: str = "", state: str = "", since: datetime | None = None, limit: int | None = None
    ) -> list[AsyncJob]:
        """Returns everybody's jobs, the newest first.

        Args:
            user_id: only this user's.
            state: only those in this state, such as `awaiting_approval`.
            since: only those started then or later; without a time zone it is the local one.
            limit: how many; None for all.

        Raises:
            InvalidRequest: if there is no such state.
        """
        query = job_pb2.ListAllJobsRequest(user_id=user_id, state=job_state_value(state))
        if since is not None:
            query.since.FromDatetime(since.astimezone(UTC))

        async def page(size: int, token: str) -> tuple[list[AsyncJob], str]:
            request = job_pb2.ListAllJobsRequest(page_size=size, page_token=token)
            request.MergeFrom(query)
            answer = await self._connection.call(self._connection.all_jobs.ListAllJobs, request)
            return [AsyncJob(each, self._connection) for each in answer.jobs], answer.next_page_token

        return await collect(page, limit)

    async def approve(self, job_id: str, reason: str = "") -> AsyncJob:
        """Lets a job that waits for approval run."""
        request = job_pb2.ApproveJobRequest(job_id=job_id, reason=reason)
        return AsyncJob(await self._connection.call(self._connection.all_jobs.ApproveJob, request), self._connection)

    async def reject(self, job_id: str, reason: str) -> AsyncJob:
        """Refuses a job that waits for approval; its owner is shown the reason."""
        request = job_pb2.RejectJobRequest(job_id=job_id, reason=reason)
        return AsyncJob(await self._connection.call(self._connection.all_jobs.RejectJob, request), self._connection)
