"""Who may call what."""

from tests.activity.platform import Platform
from tests.support.walk import Token, walk


async def test_every_rpc_with_every_kind_of_caller(platform: Platform) -> None:
    """Every RPC of the service lets in whom its contract names, and nobody else."""
    tokens = platform.tokens

    def given(text: str) -> Token:
        async def token() -> str:
            return text

        return token

    callers = {
        "nobody": given(""),
        "user": given(tokens.user()),
        "administrator": given(tokens.administrator()),
        "service": given(tokens.service("generation")),
    }
    assert await walk(platform.channel, "mirage.activity.v1", callers) == []
