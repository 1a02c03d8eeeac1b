"""Fixtures of the dataset service's tests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.object_store import EmbeddedObjectStore
from tests.dataset.service.platform import Client, Platform, open_platform
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(
    postgres: PostgresForTests,
    object_store: EmbeddedObjectStore,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Platform]:
    """A running service, which a module's tests share: each has its own people.

    A module with a service of its own settings has none of this: they would read in each other's files.
    """
    async with open_platform(postgres, object_store, tokens, tmp_path_factory.mktemp("scratch")) as opened:
        yield opened


@pytest.fixture
def user(platform: Platform) -> Client:
    """A person."""
    return platform.user()
