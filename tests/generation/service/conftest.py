"""Fixtures of the generation service's tests."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.object_store import EmbeddedObjectStore
from tests.generation.service.hand import Hand, a_hand
from tests.generation.service.platform import Platform, open_platform
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest.fixture
async def platform(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens
) -> AsyncIterator[Platform]:
    """A running service without jobs and without a worker."""
    async with open_platform(postgres, object_store, tokens, stream_heartbeat_seconds=1.0) as opened:
        yield opened


@pytest.fixture
async def hand(platform: Platform) -> AsyncIterator[Hand]:
    """A worker's hand."""
    async with a_hand(platform) as opened:
        yield opened
