"""Changing a dataset: names, visibility, and types and roles of columns, checked against every value."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.dataset.service.platform import CSV, Client, Platform
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


def column(dataset: object, name: str) -> tuple[str, str, str]:
    """A column's type, what it was found to be, and its role."""
    found = next(each for each in dataset.columns if each.name == name)  # type: ignore[attr-defined]
    return found.type, found.inferred_type, found.role


async def test_names_and_visibility(user: Client) -> None:
    """What is given changes, what is absent stays, and what is empty is emptied."""
    dataset = await user.upload(description="Something")
    changed = await user.update(dataset.dataset_id, name=" Better ", visibility="public", confirm_personal_data=True)
    assert (changed.name, changed.description, changed.visibility) == ("Better", "Something", "public")
    changed = await user.update(dataset.dataset_id, description="")
    assert (changed.name, changed.description) == ("Better", "")
    assert await user.get(dataset.dataset_id) == changed


async def test_types_set_by_hand(user: Client) -> None:
    """A type set by hand makes a version with another table and profile; set back, all is as it was."""
    dataset = await user.upload()
    changed = await user.update(dataset.dataset_id, [{"name": "age", "type": "text"}])
    assert column(changed, "age") == ("text", "integer", "feature")
    profile = {each.name: each for each in (await user.profile(dataset.dataset_id)).columns}
    assert (profile["age"].type, profile["age"].text.maximum_length) == ("text", 2)
    table = pq.read_table(io.BytesIO((await user.export(dataset.dataset_id, "parquet"))[0]))
    assert table.schema.field("age").type == pa.string()
    first = (await user.export(dataset.dataset_id, "parquet", version=1))[0]
    assert pq.read_table(io.BytesIO(first)).schema.field("age").type == pa.int64()
    numbers = [version.version for version in (await user.versions(dataset.dataset_id)).versions]
    assert numbers == [2, 1], "a version never changes"
    assert await user.update(dataset.dataset_id, [{"name": "age", "type": "integer"}])
    assert column(await user.get(dataset.dataset_id), "age") == ("integer", "integer", "feature")
    assert (await user.export(dataset.dataset_id))[0] == CSV


async def test_roles(user: Client) -> None:
    """One column is the primary key and one the target; a role goes on only when it is taken off first."""
    dataset = await user.upload()
    changed = await user.update(
        dataset.dataset_id, [{"name": "id", "role": "primary_key"}, {"name": "city", "role": "target"}]
    )
    assert [column(changed, name)[2] for name in ("id", "city")] == ["primary_key", "target"]
    async with refused("INVALID_REQUEST") as refusal:
        await user.update(dataset.dataset_id, [{"name": "age", "role": "target"}])
    assert list(refusal.violations) == ["columns.0.role"]
    changed = await user.update(
        dataset.dataset_id, [{"name": "age", "role": "target"}, {"name": "city", "role": "feature"}]
    )
    assert [column(changed, name)[2] for name in ("age", "city")] == ["target", "feature"]


async def test_everything_wrong_at_once(platform: Platform, user: Client) -> None:
    """Types that don't hold every value, keys with doubles, unknown columns and words: all are named at once."""
    dataset = await user.upload()
    async with refused("INVALID_REQUEST") as refusal:
        await user.update(
            dataset.dataset_id,
            [
                {"name": "city", "type": "integer"},
                {"name": "joined", "type": "boolean", "role": "primary_key"},
                {"name": "nobody", "type": "text"},
            ],
            name="",
            visibility="secret",
        )
    assert set(refusal.violations) == {
        "name",
        "visibility",
        "columns.0.type",
        "columns.1.type",
        "columns.1.role",
        "columns.2.name",
    }
    async with refused("INVALID_REQUEST") as refusal:
        await user.update(dataset.dataset_id, [{"name": "age", "type": "colour", "role": "hero"}], description="\0")
    assert set(refusal.violations) == {"description", "columns.0.type", "columns.0.role"}
    assert await user.get(dataset.dataset_id) == dataset
    assert len(await platform.objects(user)) == 2
    assert not platform.private_files()


async def test_keys_with_missing_or_repeated_values(user: Client) -> None:
    """A primary key has every value once and none missing."""
    dataset = await user.upload(b"code,part,both\na,1,x\nb,1,x\n,2,x\nc,3,\n")
    for name, faults in (
        ("code", "1 missing values"),
        ("part", "1 duplicates"),
        ("both", "2 duplicates and 1 missing values"),
    ):
        async with refused("INVALID_REQUEST") as refusal:
            await user.update(dataset.dataset_id, [{"name": name, "role": "primary_key"}])
        assert refusal.violations == {
            "columns.0.role": f"column {name!r} has {faults}; a primary key has another value in every row"
        }


async def test_a_dataset_that_is_not_ready(user: Client) -> None:
    """A dataset that can't be read has no columns to change, but a name."""
    dataset = await user.upload(b'[{"a": ', wait=False)
    await user.events(dataset.dataset_id)
    async with refused("DATASET_NOT_READY"):
        await user.update(dataset.dataset_id, [{"name": "a", "type": "text"}])
    assert (await user.update(dataset.dataset_id, name="broken")).name == "broken"
