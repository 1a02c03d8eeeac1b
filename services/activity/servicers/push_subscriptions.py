"""The RPCs of PushSubscriptionService."""

from typing import Any, TypeAlias

import grpc.aio
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mirage.activity.v1 import notification_pb2, notification_pb2_grpc
from servicekit import limits
from servicekit.errors import InvalidRequest
from servicekit.identity import caller
from servicekit.ids import new_id, parse_id
from servicekit.timestamps import utc_now
from services.activity.errors import PushSubscriptionNotFound, PushSwitchedOff, TooManyPushSubscriptions
from services.activity.notifying import convert, repository
from services.activity.notifying.push import PushServices
from services.activity.notifying.repository import Browser

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_MOST = 20  # browsers of one user


class PushSubscriptionServicer(notification_pb2_grpc.PushSubscriptionServiceServicer):
    """A user's browsers."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], services: PushServices | None) -> None:
        """Without push services nothing is sent, and no browser is taken."""
        self._sessions = sessions
        self._services = services

    async def RegisterPushSubscription(
        self, request: notification_pb2.RegisterPushSubscriptionRequest, context: Context
    ) -> notification_pb2.PushSubscription:
        """Registers a browser."""
        if self._services is None:
            raise PushSwitchedOff
        owner_id = caller().user_id
        browser = Browser(request.endpoint, request.keys.p256dh, request.keys.auth)
        found = list(limits.violations(request))
        told = {violation.field for violation in found}
        found += [violation for violation in self._services.faults(browser) if violation.field not in told]
        if found:
            raise InvalidRequest(found)
        async with self._sessions.begin() as session:
            kept = await repository.browsers(session, [owner_id])
            if sum(each.endpoint != browser.endpoint for each in kept) >= _MOST:
                raise TooManyPushSubscriptions(_MOST)
            row = await repository.register(session, new_id(), owner_id, browser, utc_now())
        return convert.browser_to_proto(row)

    async def ListPushSubscriptions(
        self, request: notification_pb2.ListPushSubscriptionsRequest, context: Context
    ) -> notification_pb2.ListPushSubscriptionsResponse:
        """Lists the caller's browsers."""
        async with self._sessions() as session:
            found = await repository.browsers(session, [caller().user_id])
        return notification_pb2.ListPushSubscriptionsResponse(push_subscriptions=map(convert.browser_to_proto, found))

    async def DeletePushSubscription(
        self, request: notification_pb2.DeletePushSubscriptionRequest, context: Context
    ) -> notification_pb2.DeletePushSubscriptionResponse:
        """Forgets a browser."""
        subscription_id = parse_id(request.push_subscription_id, PushSubscriptionNotFound)
        async with self._sessions.begin() as session:
            found = await repository.find_browser(session, subscription_id)
            if found is not None and found.owner_id != caller().user_id:
                raise PushSubscriptionNotFound(subscription_id)
            await repository.forget_browsers(session, [subscription_id], caller().user_id)
        return notification_pb2.DeletePushSubscriptionResponse()
