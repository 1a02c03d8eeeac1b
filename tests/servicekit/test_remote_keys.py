"""Auth's public keys, fetched where they are needed."""

import asyncio
import socket
from typing import Any

import grpc
import grpc.aio
import pytest
from google.api.httpbody_pb2 import HttpBody

from mirage.auth.v1 import token_pb2, token_pb2_grpc
from servicekit.clients import open_channel
from servicekit.errors import Unavailable
from servicekit.identity import RemoteKeys
from tests.support.auth_peer import AuthPeer
from tests.support.tokens import Tokens


class CountingPeer(AuthPeer):
    """Counts how often it is asked for its keys."""

    asked = 0

    async def GetKeySet(self, request: token_pb2.GetKeySetRequest, context: Any) -> HttpBody:
        """The key set."""
        self.asked += 1
        return await super().GetKeySet(request, context)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def test_auth_that_is_just_coming_back(tokens: Tokens) -> None:
    """Who needs a key while auth is being started again waits for it, with all others, and is let in."""
    address = f"127.0.0.1:{free_port()}"
    peer = CountingPeer(tokens)
    async with open_channel(address, None) as channel:
        keys = RemoteKeys(channel)
        waiting = [asyncio.create_task(keys.key(tokens.key_id)) for _ in range(5)]
        state = channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            await channel.wait_for_state_change(state)
            state = channel.get_state()
        server = grpc.aio.server()
        token_pb2_grpc.add_KeyServiceServicer_to_server(peer, server)
        server.add_insecure_port(address)
        await server.start()
        found = await asyncio.gather(*waiting)
        await server.stop(None)
        assert None not in found
        assert peer.asked == 1
        assert await keys.key(tokens.key_id) is not None, "what is known needs no auth"


async def test_auth_that_stays_away() -> None:
    """All who wait for a key are told in the end that auth can't be reached."""
    async with open_channel(f"127.0.0.1:{free_port()}", None) as channel:
        keys = RemoteKeys(channel)
        outcomes = await asyncio.gather(*(keys.key("any") for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    with pytest.raises(Unavailable):
        await keys.key("any")
