"""The RPC of StreamTicketService."""

from mirage.auth.v1 import stream_ticket_pb2, stream_ticket_pb2_grpc
from servicekit.identity import caller
from servicekit.limits import check
from services.auth import convert
from services.auth.servicers.origin import Context
from services.auth.streams import StreamTickets


class StreamTicketServicer(stream_ticket_pb2_grpc.StreamTicketServiceServicer):
    """Tickets by which a browser opens a stream."""

    def __init__(self, tickets: StreamTickets) -> None:
        self._tickets = tickets

    async def CreateStreamTicket(
        self, request: stream_ticket_pb2.CreateStreamTicketRequest, context: Context
    ) -> stream_ticket_pb2.StreamTicket:
        """Gives a ticket for one stream."""
        check(request)
        return convert.ticket_to_proto(self._tickets.create(caller(), request.stream))
