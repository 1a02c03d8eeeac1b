"""Lists: one's own and everybody's public ones, filtered, page by page."""

from uuid import UUID

import pytest

from mirage.dataset.v1 import dataset_pb2 as pb
from servicekit.follow import encode_resume_token
from servicekit.paging import encode_page_token
from tests.dataset.service.platform import Client, Platform
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def names(client: Client, **fields: object) -> list[str]:
    """The names on a page."""
    return [dataset.name for dataset in (await client.list_datasets(**fields)).datasets]


async def test_whose_and_which(platform: Platform) -> None:
    """Lists show one's own, one's private or everybody's public ones, the newest first, by text and by state."""
    user, other = platform.user(), platform.user()
    await user.upload(name="private 100%")
    await user.upload(name="My Public One", visibility="public")
    await other.upload(name="Theirs", visibility="public")
    await other.upload(name="hidden")
    broken = await user.upload(b'[{"a": ', name="broken", wait=False)
    await user.events(broken.dataset_id)
    assert await names(user) == ["broken", "My Public One", "private 100%"]
    assert await names(user, visibility="private") == ["broken", "private 100%"]
    assert await names(user, visibility="public") == ["Theirs", "My Public One"]
    assert await names(user, visibility="public", text="public o") == ["My Public One"]
    assert await names(user, text="0%") == ["private 100%"]
    assert await names(user, text="_") == []
    assert await names(user, state=pb.DATASET_STATE_FAILED) == ["broken"]
    assert await names(user, state=pb.DATASET_STATE_READY) == ["My Public One", "private 100%"]
    [theirs] = (await user.list_datasets(text="Theirs", visibility="public")).datasets
    assert (theirs.row_count, theirs.column_count, len(theirs.columns)) == (60, 4, 0)


async def test_pages(platform: Platform) -> None:
    """Pages follow one another without a gap or a double, though datasets come and go in between."""
    user = platform.user()
    made = [await user.upload(name=f"table {number}") for number in range(5)]
    first = await user.list_datasets(page_size=2)
    await user.upload(name="newer")
    await user.delete(made[4].dataset_id)
    second = await user.list_datasets(page_size=2, page_token=first.next_page_token)
    third = await user.list_datasets(page_size=2, page_token=second.next_page_token)
    found = [dataset.name for page in (first, second, third) for dataset in page.datasets]
    assert found == ["table 4", "table 3", "table 2", "table 1", "table 0"]
    assert not third.next_page_token


async def test_wrong_lists(platform: Platform) -> None:
    """Wrong filters are named all at once; tokens of another query, or made up, and negative sizes are refused."""
    user = platform.user()
    for number in range(2):
        await user.upload(name=f"table {number}")
    token = (await user.list_datasets(page_size=1)).next_page_token
    async with refused("INVALID_REQUEST") as refusal:
        await user.list_datasets(visibility="secret", state=17, text="x" * 201)
    assert set(refusal.violations) == {"visibility", "state", "text"}
    for wrong in ({"page_size": -1}, {"page_token": "made up"}, {"page_token": token, "text": "table"}):
        async with refused("INVALID_REQUEST") as refusal:
            await user.list_datasets(**wrong)
        assert set(refusal.violations) <= {"page_size", "page_token"}


async def test_numbers_that_nothing_has(platform: Platform) -> None:
    """Versions and places beyond all numbers that a database has are unknown, or forged; never an accident inside."""
    user = platform.user()
    dataset = await user.upload(name="people")
    dataset_id = dataset.dataset_id
    for version in (2, 2**31 - 1, 2**31, 2**32 - 1):
        async with refused("DATASET_VERSION_NOT_FOUND"):
            await user.profile(dataset_id, version=version)
        async with refused("DATASET_VERSION_NOT_FOUND"):
            await user.rows(dataset_id, version=version)
    rows: dict[str, object] = {"list": "rows", "dataset_id": dataset_id, "version": 0}
    for key in ({"version": 2**31, "offset": 0}, {"version": 1, "offset": 2**63}, {"version": 1, "offset": -1}, {}):
        async with refused("INVALID_REQUEST"):
            await user.rows(dataset_id, page_token=encode_page_token(rows, key))
    page = await user.rows(dataset_id, page_token=encode_page_token(rows, {"version": 1, "offset": 10**12}))
    assert (list(page.rows), page.next_page_token) == ([], "")
    versions = {"list": "versions", "dataset_id": dataset_id}
    async with refused("INVALID_REQUEST"):
        await user.versions(dataset_id, page_token=encode_page_token(versions, {"number": 2**31}))
    async with refused("INVALID_REQUEST"):
        await user.events(dataset_id, encode_resume_token(UUID(dataset_id), 2**32 - 1))


async def test_sizes_of_pages_of_rows(platform: Platform) -> None:
    """0 is the default, a large size is clamped, a negative one refused, as in every list."""
    user = platform.user()
    dataset_id = (await user.upload(name="people")).dataset_id
    assert len((await user.rows(dataset_id)).rows) == len((await user.rows(dataset_id, page_size=2**31 - 1)).rows) == 60
    assert len((await user.rows(dataset_id, page_size=7)).rows) == 7
    async with refused("INVALID_REQUEST") as refusal:
        await user.rows(dataset_id, page_size=-1)
    assert refusal.violations == {"page_size": "must be a whole number of at least 0"}
