"""Fixtures of the client's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mirage import AsyncClient, FileCredentialStore
from tests.client.platform import EMAIL, PASSWORD, SmallPlatform


@pytest.fixture
async def platform() -> AsyncIterator[SmallPlatform]:
    """A small platform that serves."""
    async with SmallPlatform().serving() as served:
        yield served


@pytest.fixture
def store(tmp_path: Path) -> FileCredentialStore:
    """A credential file of its own."""
    return FileCredentialStore(tmp_path / "config" / "credentials.json")


@pytest.fixture
async def client(platform: SmallPlatform) -> AsyncIterator[AsyncClient]:
    """A client that is signed in to the small platform."""
    async with AsyncClient(platform.url) as opened:
        await opened.login(EMAIL, PASSWORD)
        yield opened
