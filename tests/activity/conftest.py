"""Fixtures of the activity service's tests."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.activity.platform import Platform, open_platform
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest_asyncio.fixture
async def platform(postgres: PostgresForTests, tokens: Tokens) -> AsyncIterator[Platform]:
    """A running service with an empty log."""
    async with open_platform(postgres, tokens) as opened:
        yield opened
