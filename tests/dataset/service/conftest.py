"""Fixtures of the dataset service's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.object_store import EmbeddedObjectStore
from tests.dataset.service.platform import Client, Platform, open_platform
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest.fixture
async def platform(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, tmp_path: Path
) -> AsyncIterator[Platform]:
    """A running service without datasets."""
    async with open_platform(postgres, object_store, tokens, tmp_path) as opened:
        yield opened


@pytest.fixture
def user(platform: Platform) -> Client:
    """A person."""
    return platform.user()
