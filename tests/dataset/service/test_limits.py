"""Limits of a service that is set up tightly: what is over one is refused, and nothing of it is left."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from grpc import StatusCode

from deploy.local.object_store import EmbeddedObjectStore
from tests.dataset.service.platform import CSV, Platform, form, open_platform
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

_MEBIBYTE = 1024 * 1024
_TOO_LARGE = b"a,b\n" + b"1,2\n" * (_MEBIBYTE // 4)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tight(
    postgres: PostgresForTests,
    object_store: EmbeddedObjectStore,
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Platform]:
    """A service that takes files of 1 MB and gives each a millisecond."""
    scratch = tmp_path_factory.mktemp("scratch")
    limits = {"max_file_size_mb": 1, "ingestion_timeout_seconds": 0.001, "max_columns": 3}
    async with open_platform(postgres, object_store, tokens, scratch, **limits) as opened:
        yield opened


async def test_a_declared_length(tight: Platform) -> None:
    """A declared length over the limit is refused before the body is looked at: not a byte of it was sent."""
    user = tight.user()
    async with refused("FILE_TOO_LARGE", StatusCode.RESOURCE_EXHAUSTED) as refusal:
        await user.upload(b"", metadata=(("x-upload-length", str(_MEBIBYTE + 1)),))
    assert "1 MB" in refusal.message
    assert await tight.nothing_left(user)


@pytest.mark.parametrize("as_form", [False, True])
async def test_an_undeclared_length(tight: Platform, as_form: bool) -> None:
    """A body whose length nobody declared is refused as soon as it is over the limit."""
    user = tight.user()
    async with refused("FILE_TOO_LARGE", StatusCode.RESOURCE_EXHAUSTED):
        if as_form:
            await user.upload_form(form([("file", _TOO_LARGE, "table.csv")]), pieces=65_536)
        else:
            await user.upload(_TOO_LARGE)
    assert await tight.nothing_left(user)


async def test_time(tight: Platform) -> None:
    """A file that keeps its reader busy for longer than is allowed fails, saying so, whoever waits for it."""
    user = tight.user()
    async with refused("INGESTION_TAKES_TOO_LONG", StatusCode.INVALID_ARGUMENT):
        await user.upload(CSV)
    assert await tight.nothing_left(user)
    dataset = await user.upload(CSV, wait=False)
    events = await user.events(dataset.dataset_id)
    assert events[-1].error.message.startswith("Reading the file took longer than")
