"""Fixtures of the optimizer service's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.optimizer.service.platform import Platform, open_platform
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest.fixture
async def platform(postgres: PostgresForTests, tokens: Tokens) -> AsyncIterator[Platform]:
    """A running service without studies."""
    async with open_platform(postgres, tokens, stream_heartbeat_seconds=1.0) as opened:
        yield opened
