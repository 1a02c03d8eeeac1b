"""What tells users of things, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import grpc.aio

from servicekit.database import Database
from servicekit.listen import Listener
from servicekit.settings import ConfigurationError
from services.activity.addresses import AuthAddresses
from services.activity.notifying.deliveries import Channel, Outlet, Outlets
from services.activity.notifying.mail import Mail, MailServer
from services.activity.notifying.notifier import Notifier
from services.activity.notifying.push import PushServices, WebPush, load_or_make_key, public_key
from services.activity.servicers.notifications import NotificationServicer
from services.activity.servicers.push_subscriptions import PushSubscriptionServicer
from services.activity.settings import NotificationSettings, Settings


class Notifying(NamedTuple):
    """What serves users."""

    notifications: NotificationServicer
    push_subscriptions: PushSubscriptionServicer


@asynccontextmanager
async def notifying(
    settings: Settings,
    database: Database,
    listener: Listener,
    auth: AbstractAsyncContextManager[grpc.aio.Channel],
) -> AsyncIterator[Notifying]:
    """Makes notifications and delivers them while the block runs.

    Raises:
        ConfigurationError: the file that VAPID_PRIVATE_KEY_FILE names can't be used.
    """
    ways: dict[Channel, Outlet] = {}
    services, vapid_public_key = None, ""
    async with AsyncExitStack() as stack:
        if settings.enable_push_notifications and settings.vapid_private_key_file is not None:
            services = PushServices(settings.push_hosts)
            push, vapid_public_key = _web_push(settings, database, services)
            ways[Channel.PUSH] = push
        if settings.smtp_host:
            addresses = AuthAddresses(await stack.enter_async_context(auth))
            ways[Channel.EMAIL] = Mail(_mail_server(settings), settings.smtp_from, settings.smtp_from_name, addresses)
        outlets = Outlets(
            ways, attempts=settings.notification_attempts, first_wait_s=settings.notification_retry_seconds
        )
        notifier = Notifier(database.sessions, listener, outlets, settings.notification_batch_size)
        stop = asyncio.Event()
        making = asyncio.create_task(notifier.keep(), name="notifier")
        delivering = asyncio.create_task(
            outlets.keep_delivering(database.sessions, database.dsn, stop), name="notification-deliveries"
        )
        try:
            yield Notifying(
                NotificationServicer(
                    database.sessions,
                    listener,
                    settings.stream_heartbeat_seconds,
                    vapid_public_key=vapid_public_key,
                    email_available=bool(settings.smtp_host),
                ),
                PushSubscriptionServicer(database.sessions, services),
            )
        finally:
            stop.set()
            making.cancel()
            await asyncio.wait({making})
            await asyncio.wait({delivering})  # a delivery takes no longer than its time limit


def _web_push(settings: NotificationSettings, database: Database, services: PushServices) -> tuple[WebPush, str]:
    path = settings.vapid_private_key_file
    if path is None:
        raise ValueError("there is no key to send with")
    try:
        key = load_or_make_key(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"VAPID_PRIVATE_KEY_FILE={path} can't be used: {error}") from error
    push = WebPush(
        database.sessions,
        services,
        key,
        subject=settings.vapid_subject,
        timeout_s=settings.notification_timeout_seconds,
    )
    return push, public_key(key)


def _mail_server(settings: NotificationSettings) -> MailServer:
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.smtp_username,
        settings.smtp_password,
        settings.notification_timeout_seconds,
    )
