"""How people are reached, as auth knows it."""

import grpc.aio

from mirage.auth.v1 import contact_pb2, contact_pb2_grpc
from servicekit.clients import peer_error
from servicekit.errors import ServiceError
from services.activity.notifying.mail import Mailbox

_TIMEOUT_S = 10.0
_NOBODY = "USER_NOT_FOUND"


class AuthAddresses:
    """Asks auth."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Takes a channel on which calls are made in this service's own name."""
        self._stub = contact_pb2_grpc.ContactServiceStub(channel)

    async def mailbox_of(self, user_id: str) -> Mailbox | None:
        """Somebody's mailbox; None if they are nobody's any more, or switched off.

        Raises:
            Unavailable: auth can't be reached.
        """
        try:
            contact = await self._stub.GetContact(contact_pb2.GetContactRequest(user_id=user_id), timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            translated = peer_error(error, "auth")
            if isinstance(translated, ServiceError) and translated.reason == _NOBODY:
                return None
            raise translated from error
        return Mailbox(contact.email, contact.display_name) if contact.active else None
