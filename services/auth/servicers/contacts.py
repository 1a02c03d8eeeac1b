"""The RPC of ContactService."""

from mirage.auth.v1 import contact_pb2, contact_pb2_grpc
from services.auth.administration import Administration
from services.auth.servicers.origin import Context


class ContactServicer(contact_pb2_grpc.ContactServiceServicer):
    """How people are reached, for other services."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    async def GetContact(self, request: contact_pb2.GetContactRequest, context: Context) -> contact_pb2.Contact:
        """Returns how somebody is reached."""
        user = await self._administration.get(request.user_id)
        return contact_pb2.Contact(
            user_id=str(user.id), email=user.email, display_name=user.display_name, active=user.active
        )
