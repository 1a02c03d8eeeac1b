"""What auth tells the platform's log."""

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit import outbox
from servicekit.event_kinds import EventKind
from servicekit.events import happened
from services.auth.models import User

_ACCOUNT = "account"


async def account_registered(session: AsyncSession, user: User) -> None:
    """Somebody has signed up."""
    event = happened(
        EventKind.ACCOUNT_REGISTERED,
        _ACCOUNT,
        user.id,
        owner_id=user.id,
        actor_id=user.id,
        actor_role=user.role.value,
        personal=_names(user),
    )
    await outbox.add(session, event)


async def account_deleted(session: AsyncSession, user: User) -> None:
    """An account has ended; whose it was is soon known to nobody."""
    await outbox.add(session, happened(EventKind.ACCOUNT_DELETED, _ACCOUNT, user.id, owner_id=user.id))


def _names(user: User) -> dict[str, str]:
    return {"email": user.email, "display_name": user.display_name}
