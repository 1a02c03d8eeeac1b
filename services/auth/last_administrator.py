"""At least one administrator stays active, whatever happens at once."""

from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.access import Role
from services.auth import repository
from services.auth.errors import LastAdministrator
from services.auth.models import User


async def ensure_another(session: AsyncSession, user: User) -> None:
    """Makes sure that the platform can do without a locked account; who is an administrator is locked, too.

    Raises:
        LastAdministrator: nobody else could administer the platform.
    """
    counts = user.role is Role.ADMINISTRATOR and user.active
    if counts and not await repository.has_other_active_administrator(session, user.id):
        raise LastAdministrator(str(user.id))
