"""Whatever is wrong with a file, its sender hears what and where, and nothing of it is left."""

import re

import pytest
from grpc import StatusCode

from tests.dataset.files.refused import REFUSED, Refused
from tests.dataset.service.platform import Client, Platform, form
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.name)
async def test_refused(platform: Platform, user: Client, file: Refused) -> None:
    """The file is refused as the caller's mistake, naming the place, and leaves no row, object or file."""
    async with refused(file.reason, StatusCode.INVALID_ARGUMENT) as refusal:
        await user.upload_form(form([("file", file.content(), "table.csv")]), pieces=65_536)
    assert re.search(file.says, refusal.message), refusal.message
    assert await platform.nothing_left(user)
    for table in ("dataset_versions", "pgqueuer"):
        assert await platform.count(table) == 0, table
