"""Fixtures of the optimizer service's tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.optimizer.service.platform import Platform, open_platform
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_platform(postgres: PostgresForTests, tokens: Tokens) -> AsyncIterator[Platform]:
    """A running service for all tests: what it computes with takes a second to start."""
    async with open_platform(postgres, tokens, stream_heartbeat_seconds=1.0) as opened:
        yield opened


@pytest.fixture
def platform(shared_platform: Platform) -> Iterator[Platform]:
    """A running service, with a generation service that does as it should."""
    shared_platform.peer.behave()
    yield shared_platform
    shared_platform.peer.behave()
