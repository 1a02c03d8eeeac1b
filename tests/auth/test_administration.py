"""Every account, for administrators; the last of whom stays."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from uuid import UUID

import grpc
import grpc.aio
import pytest
from sqlalchemy import text, update

from mirage.auth.v1 import account_pb2, administration_pb2
from services.auth.models import User
from tests.auth.platform import AuthService, Person
from tests.support.errors import refused

ACTIVE, INACTIVE = account_pb2.USER_STATE_ACTIVE, account_pb2.USER_STATE_INACTIVE
LIST = administration_pb2.ListUsersRequest
UNKNOWN = "01990000-0000-7000-8000-000000000000"


async def delete(auth: AuthService, by: Person, user_id: str) -> None:
    await auth.administration.DeleteUser(administration_pb2.DeleteUserRequest(user_id=user_id), metadata=by.metadata)


async def deactivate(auth: AuthService, by: Person, user_id: str) -> account_pb2.User:
    request = administration_pb2.DeactivateUserRequest(user_id=user_id)
    return await auth.administration.DeactivateUser(request, metadata=by.metadata)


async def activate(auth: AuthService, by: Person, user_id: str) -> account_pb2.User:
    request = administration_pb2.ActivateUserRequest(user_id=user_id)
    return await auth.administration.ActivateUser(request, metadata=by.metadata)


async def toggle(auth: AuthService, by: Person, user_id: str) -> account_pb2.User:
    request = administration_pb2.ToggleUserRequest(user_id=user_id)
    return await auth.administration.ToggleUser(request, metadata=by.metadata)


async def set_role(auth: AuthService, by: Person, user_id: str, role: str = "user") -> account_pb2.User:
    request = administration_pb2.SetUserRoleRequest(user_id=user_id, role=role)
    return await auth.administration.SetUserRole(request, metadata=by.metadata)


async def get(auth: AuthService, by: Person, user_id: str) -> account_pb2.User:
    request = administration_pb2.GetUserRequest(user_id=user_id)
    return await auth.administration.GetUser(request, metadata=by.metadata)


Change = Callable[[AuthService, Person, str], Awaitable[account_pb2.User | None]]
REMOVALS: list[Change] = [delete, deactivate, toggle, set_role]


async def listed(auth: AuthService, by: Person, request: administration_pb2.ListUsersRequest) -> list[str]:
    """Addresses of the accounts on one page, without their domain."""
    page = await auth.administration.ListUsers(request, metadata=by.metadata)
    return [user.email.partition("@")[0] for user in page.users]


async def test_users_are_paged(auth: AuthService) -> None:
    """Pages hold every account once, the newest first."""
    root = await auth.administrator()
    made = [(await auth.register()).user_id for _ in range(5)]
    pages: list[list[str]] = []
    token = ""
    while token or not pages:
        page = await auth.administration.ListUsers(LIST(page_size=4, page_token=token), metadata=root.metadata)
        pages.append([user.user_id for user in page.users])
        token = page.next_page_token
    assert [len(page) for page in pages] == [4, 2]
    assert list(chain(*pages)) == [*reversed(made), root.user_id]


async def test_users_are_filtered(auth: AuthService) -> None:
    """Role, state and text narrow the list, alone and together; text is taken as it is, in any case."""
    root = await auth.administrator()
    ada, _grace = await auth.register("ada@example.org"), await auth.register("grace@example.org", name="100%_Éva")
    await deactivate(auth, root, ada.user_id)
    assert await listed(auth, root, LIST(role="administrator")) == [root.email.partition("@")[0]]
    assert await listed(auth, root, LIST(role="user")) == ["grace", "ada"]
    assert await listed(auth, root, LIST(state=INACTIVE)) == ["ada"]
    assert await listed(auth, root, LIST(role="user", state=ACTIVE)) == ["grace"]
    assert await listed(auth, root, LIST(text="ADA@EX")) == ["ada"]
    assert await listed(auth, root, LIST(text="%_éV")) == ["grace"]
    assert await listed(auth, root, LIST(text="a%a")) == []
    assert await listed(auth, root, LIST(text="ada", state=ACTIVE)) == []


async def test_wrong_lists(auth: AuthService) -> None:
    """Every wrong filter is named; a page token of another query, or of none, is refused."""
    root = await auth.administrator()
    await auth.register()
    async with refused("INVALID_REQUEST") as refusal:
        request = LIST(role="service", text="nul\0")
        request.MergeFromString(b"\x20\x63")  # state 99, as a client with a younger contract could send it
        await listed(auth, root, request)
    assert set(refusal.violations) == {"role", "state", "text"}
    token = (await auth.administration.ListUsers(LIST(page_size=1), metadata=root.metadata)).next_page_token
    for wrong in (LIST(page_token=token, role="user"), LIST(page_token=token[:-4]), LIST(page_token="e30")):
        async with refused("INVALID_REQUEST") as refusal:
            await listed(auth, root, wrong)
        assert set(refusal.violations) == {"page_token"}


@pytest.mark.parametrize("change", [get, activate, *REMOVALS])
@pytest.mark.parametrize("user_id", ["", "nonsense", UNKNOWN])
async def test_unknown_users(auth: AuthService, change: Change, user_id: str) -> None:
    """What names no account is not found, whatever is asked of it."""
    root = await auth.administrator()
    async with refused("USER_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        await change(auth, root, user_id)


async def test_deactivation_ends_everything(auth: AuthService) -> None:
    """A user switched off is out at once and can't come back in, which only their password tells; then is let in."""
    root, person = await auth.administrator(), await auth.user("ada@example.org")
    assert (await deactivate(auth, root, person.user_id)).state == INACTIVE
    async with refused("SESSION_ENDED", grpc.StatusCode.UNAUTHENTICATED):
        await auth.me(person.pair.access_token)
    async with refused("INVALID_REFRESH_TOKEN"):
        await auth.refresh(person.pair.refresh_token)
    async with refused("ACCOUNT_INACTIVE", grpc.StatusCode.PERMISSION_DENIED):
        await auth.login("ada@example.org")
    async with refused("INVALID_CREDENTIALS"):
        await auth.login("ada@example.org", "Wrong-horse-77")
    assert (await activate(auth, root, person.user_id)).state == ACTIVE
    async with refused("SESSION_ENDED"):  # what was ended stays ended
        await auth.me(person.pair.access_token)
    assert (await auth.login("ada@example.org")).user_id == person.user_id


async def test_toggle(auth: AuthService) -> None:
    """Toggling switches an account off with its sessions, and on again."""
    root, person = await auth.administrator(), await auth.user("ada@example.org")
    assert (await toggle(auth, root, person.user_id)).state == INACTIVE
    async with refused("SESSION_ENDED"):
        await auth.me(person.pair.access_token)
    assert (await toggle(auth, root, person.user_id)).state == ACTIVE
    assert (await get(auth, root, person.user_id)).state == ACTIVE


async def test_switching_to_the_same_state_changes_nothing(auth: AuthService) -> None:
    """Doing again what is done leaves an account, and its sessions, as they are."""
    root, person = await auth.administrator(), await auth.user()
    before = await get(auth, root, person.user_id)
    assert await activate(auth, root, person.user_id) == before
    assert await set_role(auth, root, person.user_id) == before
    assert await auth.me(person.pair.access_token) == before


async def test_delete(auth: AuthService) -> None:
    """A deleted account is gone with its sessions, and its address is free."""
    root, person = await auth.administrator(), await auth.user("ada@example.org")
    await delete(auth, root, person.user_id)
    async with refused("USER_NOT_FOUND"):
        await get(auth, root, person.user_id)
    async with refused("SESSION_ENDED"):
        await auth.me(person.pair.access_token)
    async with refused("INVALID_CREDENTIALS"):
        await auth.login("ada@example.org")
    assert (await auth.register("ada@example.org")).user_id != person.user_id


async def test_roles_take_effect_at_once(auth: AuthService) -> None:
    """A promoted user is an administrator with the token they have; a demoted one has to sign in again."""
    root, person = await auth.administrator(), await auth.user("ada@example.org")
    async with refused("PERMISSION_DENIED", grpc.StatusCode.PERMISSION_DENIED):
        await listed(auth, person, LIST())
    assert (await set_role(auth, root, person.user_id, "administrator")).role == "administrator"
    assert len(await listed(auth, person, LIST())) == 2
    assert (await set_role(auth, root, person.user_id, "user")).role == "user"
    async with refused("SESSION_ENDED"):
        await listed(auth, person, LIST())
    async with refused("PERMISSION_DENIED"):
        await listed(auth, await auth.login("ada@example.org"), LIST())


@pytest.mark.parametrize("role", ["", "service", "Administrator", "root"])
async def test_unknown_roles(auth: AuthService, role: str) -> None:
    """Nobody becomes what there is not, least of all a service."""
    root, person = await auth.administrator(), await auth.user()
    async with refused("INVALID_REQUEST") as refusal:
        await set_role(auth, root, person.user_id, role)
    assert set(refusal.violations) == {"role"}


@pytest.mark.parametrize("removal", REMOVALS)
async def test_the_last_administrator_stays(auth: AuthService, removal: Change) -> None:
    """The last active administrator can't be removed in any way, not even beside one who is switched off."""
    root, other = await auth.administrator(), await auth.administrator()
    await deactivate(auth, root, other.user_id)
    async with refused("LAST_ADMINISTRATOR", grpc.StatusCode.FAILED_PRECONDITION) as refusal:
        await removal(auth, root, root.user_id)
    assert refusal.metadata == {"user_id": root.user_id}
    await delete(auth, root, other.user_id)  # whoever isn't active can go
    me = await auth.me(root.pair.access_token)
    assert (me.role, me.state) == ("administrator", ACTIVE)


@pytest.mark.parametrize("removal", REMOVALS)
async def test_administrators_who_remove_each_other_at_once(auth: AuthService, removal: Change) -> None:
    """However many administrators remove one another at once, one stays."""
    people = [await auth.administrator() for _ in range(4)]
    targets = [*people[1:], people[0]]
    outcomes = await asyncio.gather(
        *(removal(auth, by, target.user_id) for by, target in zip(people, targets, strict=True)),
        return_exceptions=True,
    )
    unexpected = [
        outcome
        for outcome in outcomes
        if isinstance(outcome, BaseException)
        and not (
            isinstance(outcome, grpc.aio.AioRpcError)
            # Whoever was removed first is refused as nobody; the last one is refused the removal.
            and outcome.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.FAILED_PRECONDITION)
        )
    ]
    assert unexpected == []
    left = []
    for person in people:
        try:
            left.append(await auth.me(person.pair.access_token))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED  # noqa: PT017 - either outcome is fine
    assert [user.role for user in left if user.state == ACTIVE].count("administrator") >= 1


async def test_a_deactivation_and_a_login_at_once(auth: AuthService) -> None:
    """A sign-in that meets a deactivation under way waits for it, and then opens no session."""
    user = await auth.register("ada@example.org")
    async with auth.database.sessions.begin() as changing:
        await changing.execute(update(User).where(User.id == UUID(user.user_id)).values(active=False))
        login = asyncio.create_task(auth.login("ada@example.org"))
        async with asyncio.timeout(30):
            while not (login.done() or await waiting_for_a_lock(auth)):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
    async with refused("ACCOUNT_INACTIVE"):
        await login


async def waiting_for_a_lock(auth: AuthService) -> bool:
    """Whether a statement of the service waits for a row that somebody else changes."""
    async with auth.database.sessions() as session:
        found = await session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    return bool(found)
