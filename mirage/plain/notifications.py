"""What the caller is told of: `client.notifications`."""

from collections.abc import Iterator
from functools import partial

from mirage.aio.notifications import AsyncNotifications
from mirage.plain.calls import Plain, blocking
from mirage.plain.loop import LOOP
from mirage.records.notification import NotificationEvent


class Notifications(Plain[AsyncNotifications]):
    """What the caller is told of without asking."""

    list = blocking(AsyncNotifications.list)
    mark_read = blocking(AsyncNotifications.mark_read)
    delete = blocking(AsyncNotifications.delete)
    preferences = blocking(AsyncNotifications.preferences)
    set_preference = blocking(AsyncNotifications.set_preference)

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> Iterator[NotificationEvent]:
        """Yields notifications as they are made: new ones, or those since `resume_token` (of an earlier event).

        A broken connection is taken up again where it broke. The stream doesn't end by itself.

        Raises:
            TimedOut: after `timeout_s`, if given.
        """
        return LOOP.iterate(partial(self._core.watch, resume_token, timeout_s))
