"""Personal data in datasets: found when they are read in, corrected by their owner, confirmed before publishing."""

import json
from collections.abc import Mapping
from uuid import UUID

import pytest
from grpc import StatusCode
from sqlalchemy import update
from structlog.testing import capture_logs

from mirage.dataset.v1 import profile_pb2
from services.dataset.models import Dataset, Version
from tests.dataset.service.platform import Client, Platform
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE = b"nom,courriel,age\n" + b"".join(
    f"{first} {last},{first}.{last}{row}@exemple.fr,{20 + row % 50}\n".encode()
    for row, (first, last) in enumerate(
        (first, last)
        for first in ("Jean", "Marie", "Claire", "Pierre", "Nathalie")
        for last in ("Dupont", "Durand", "Lefebvre", "Moreau", "Girard", "Mercier")
    )
)
"""Thirty invented people with names, e-mail addresses and ages."""
FOUND = {"nom": ("full_name", "fr_FR"), "courriel": ("email", "fr_FR")}
AGES = b"nom,age\n" + b"".join(f"Espresso {row % 3},{row}\n".encode() for row in range(30))


def kinds(dataset: object) -> dict[str, tuple[str, str]]:
    """What is in force: kind and locale by column; of a dataset or a source."""
    return {
        column.name: (column.personal_data, column.personal_data_locale)
        for column in dataset.columns  # type: ignore[attr-defined]
        if column.personal_data or column.personal_data_locale
    }


def findings(profile: profile_pb2.DatasetProfile) -> dict[str, profile_pb2.PersonalDataFinding]:
    """What a profile says of personal data, by column."""
    return {finding.column: finding for finding in profile.personal_data}


async def confirmation(platform: Platform, dataset_id: str) -> Mapping[str, object] | None:
    """What is written down of a confirmation."""
    async with platform.database.sessions() as session:
        dataset = await session.get(Dataset, UUID(dataset_id))
        assert dataset is not None
        return dataset.personal_data_confirmed


async def test_found_when_read_in(platform: Platform) -> None:
    """Who uploads people is told so, in the columns and in the profile with its reasons; so is who learns from it."""
    user = platform.user()
    dataset = await user.upload(PEOPLE)
    assert kinds(dataset) == FOUND
    assert kinds(await user.get(dataset.dataset_id)) == FOUND
    profile = await user.profile(dataset.dataset_id)
    found = findings(profile)
    assert set(found) == set(FOUND)
    assert found["courriel"].confidence > 0.98
    assert found["courriel"].matching_share == 1
    assert list(found["courriel"].evidence) == ["pattern", "column name"]
    assert {finding.decided_by for finding in profile.personal_data} == {"scan"}
    [warning] = [text for text in profile.warnings if "ersonal" in text]
    assert "“nom” (names of people), “courriel” (e-mail addresses)" in warning
    source = await platform.service("generation").source(dataset.dataset_id, user.user_id)
    assert kinds(source) == FOUND


async def test_nothing_found(user: Client) -> None:
    """A table of things has no findings and no warning of any."""
    dataset = await user.upload()
    assert kinds(dataset) == {}
    profile = await user.profile(dataset.dataset_id)
    assert not profile.personal_data
    assert not [text for text in profile.warnings if "ersonal" in text]


async def test_corrected(platform: Platform) -> None:
    """What the owner says is in force at once, in the profile beside what was found, and can be taken back."""
    user = platform.user()
    dataset = await user.upload(PEOPLE)
    changed = await user.update(
        dataset.dataset_id,
        [
            {"name": "courriel", "personal_data": "none"},
            {"name": "age", "personal_data": "national_id", "personal_data_locale": "de-DE"},
            {"name": "nom", "personal_data_locale": "it_IT"},
        ],
    )
    expected = {"age": ("national_id", "de_DE"), "nom": ("full_name", "it_IT")}
    assert kinds(changed) == kinds(await user.get(dataset.dataset_id)) == expected
    assert kinds(await platform.service("generation").source(dataset.dataset_id, user.user_id)) == expected
    found = findings(await user.profile(dataset.dataset_id))
    assert {name: (each.kind, each.decided_by, each.confidence) for name, each in found.items()} == {
        "nom": ("full_name", "user", 1),
        "courriel": ("none", "user", 1),
        "age": ("national_id", "user", 1),
    }
    assert found["nom"].matching_share > 0.9
    assert found["age"].matching_share == 0
    back = await user.update(
        dataset.dataset_id, [{"name": name, "personal_data": ""} for name in ("nom", "courriel", "age")]
    )
    assert kinds(back) == FOUND


async def test_corrections_outlive_versions_and_types(user: Client) -> None:
    """A correction holds for later versions of the table, by the column's name, and for types set by hand."""
    dataset = await user.upload(PEOPLE)
    await user.update(dataset.dataset_id, [{"name": "courriel", "personal_data": "none"}])
    await user.add_version(dataset.dataset_id, PEOPLE + b"Ines Bernard,ines@exemple.fr,31\n")
    assert kinds(await user.get(dataset.dataset_id)) == {"nom": ("full_name", "fr_FR")}
    changed = await user.update(dataset.dataset_id, [{"name": "age", "type": "text", "personal_data": "postcode"}])
    assert kinds(changed) == {"nom": ("full_name", "fr_FR"), "age": ("postcode", "")}
    assert [column.type for column in changed.columns if column.name == "age"] == ["text"]


async def test_wrong_corrections_are_named_at_once(user: Client) -> None:
    """Unknown kinds, locales and columns, and a locale for nothing, are told together; nothing changes."""
    dataset = await user.upload(PEOPLE)
    async with refused("INVALID_REQUEST", StatusCode.INVALID_ARGUMENT) as refusal:
        await user.update(
            dataset.dataset_id,
            [
                {"name": "nom", "personal_data": "E-Mail"},
                {"name": "courriel", "personal_data_locale": "xx_XX"},
                {"name": "age", "personal_data": "email"},
            ],
        )
    assert list(refusal.violations) == ["columns.0.personal_data", "columns.1.personal_data_locale"]
    assert "must be one of email, phone_number" in refusal.violations["columns.0.personal_data"]
    async with refused("INVALID_REQUEST") as refusal:
        await user.update(
            dataset.dataset_id,
            [{"name": "Nom", "personal_data": "none"}, {"name": "age", "personal_data_locale": "fr_FR"}],
        )
    assert list(refusal.violations) == ["columns.0.name", "columns.1.personal_data_locale"]
    assert kinds(await user.get(dataset.dataset_id)) == FOUND


async def test_public_only_on_confirmation(platform: Platform) -> None:
    """A dataset with people becomes public only when its owner confirms, which is logged and written down."""
    user = platform.user()
    dataset = await user.upload(PEOPLE)
    async with refused("PERSONAL_DATA_FOUND", StatusCode.FAILED_PRECONDITION) as refusal:
        await user.update(dataset.dataset_id, visibility="public", name="people of mine")
    assert json.loads(refusal.metadata["columns"]) == ["nom", "courriel"]
    assert "“courriel” (e-mail addresses)" in refusal.message
    unchanged = await user.get(dataset.dataset_id)
    assert (unchanged.visibility, unchanged.name) == ("private", "people")
    with capture_logs() as logs:
        public = await user.update(dataset.dataset_id, visibility="public", confirm_personal_data=True)
    assert public.visibility == "public"
    [entry] = [entry for entry in logs if entry["event"] == "personal_data_confirmed"]
    assert entry["user_id"] == str(user.user_id)
    assert entry["dataset_id"] == dataset.dataset_id
    assert entry["columns"] == {"nom": "full_name", "courriel": "email"}
    written = await confirmation(platform, dataset.dataset_id)
    assert written is not None
    assert written["user_id"] == str(user.user_id)
    assert written["columns"] == entry["columns"]
    # What was confirmed was so for this time: once private, it must be confirmed again.
    await user.update(dataset.dataset_id, visibility="private")
    assert await confirmation(platform, dataset.dataset_id) is None
    async with refused("PERSONAL_DATA_FOUND"):
        await user.update(dataset.dataset_id, visibility="public")


async def test_confirming_nothing(platform: Platform) -> None:
    """Where nothing was found, or the owner has said that nothing is there, nothing needs to be confirmed."""
    user = platform.user()
    things = await user.upload()
    assert (await user.update(things.dataset_id, visibility="public")).visibility == "public"
    people = await user.upload(PEOPLE)
    none = [{"name": name, "personal_data": "none"} for name in FOUND]
    assert (await user.update(people.dataset_id, none, visibility="public")).visibility == "public"
    assert await confirmation(platform, people.dataset_id) is None
    # More of it in a public dataset needs a confirmation too.
    async with refused("PERSONAL_DATA_FOUND") as refusal:
        await user.update(people.dataset_id, [{"name": "nom", "personal_data": "full_name"}])
    assert json.loads(refusal.metadata["columns"]) == ["nom"]
    await user.update(people.dataset_id, [{"name": "nom", "personal_data": "full_name"}], confirm_personal_data=True)
    assert (await user.update(people.dataset_id, description="still public")).visibility == "public"


async def test_a_refused_change_leaves_no_table(platform: Platform) -> None:
    """A table that was made for other types goes where the change is refused after all."""
    user = platform.user()
    dataset = await user.upload(PEOPLE)
    before = await platform.objects(user)
    async with refused("PERSONAL_DATA_FOUND"):
        await user.update(dataset.dataset_id, [{"name": "age", "type": "float"}], visibility="public")
    assert await platform.objects(user) == before
    assert not await platform.marks(user)
    assert (await user.get(dataset.dataset_id)).latest_version == 1


async def test_uploaded_as_public(platform: Platform) -> None:
    """A file uploaded as public that holds people stays private, and its owner is told why."""
    user, other = platform.user(), platform.user()
    dataset = await user.upload(PEOPLE, visibility="public")
    assert dataset.visibility == "private"
    [warning] = [text for text in dataset.warnings if "private" in text]
    assert "“nom” (names of people)" in warning
    async with refused("DATASET_NOT_FOUND"):
        await other.get(dataset.dataset_id)
    assert (await user.upload(visibility="public")).visibility == "public"


async def test_new_version_of_a_public_dataset(platform: Platform) -> None:
    """New findings in a public dataset make it private until they are confirmed; confirmed ones don't."""
    user, other = platform.user(), platform.user()
    dataset = await user.upload(AGES, visibility="public")
    assert (await other.get(dataset.dataset_id)).visibility == "public"
    with capture_logs() as logs:
        await user.add_version(dataset.dataset_id, PEOPLE)
    assert [entry["columns"] for entry in logs if entry["event"] == "dataset_withheld"] == [
        {"nom": "full_name", "courriel": "email"}
    ]
    async with refused("DATASET_NOT_FOUND"):
        await other.get(dataset.dataset_id)
    await user.update(dataset.dataset_id, visibility="public", confirm_personal_data=True)
    await user.add_version(dataset.dataset_id, PEOPLE + b"Ines Bernard,ines@exemple.fr,31\n")
    assert (await other.get(dataset.dataset_id)).visibility == "public"


async def test_older_versions_count(platform: Platform) -> None:
    """People in an older version, which can be read as well, keep a dataset from becoming public."""
    user = platform.user()
    dataset = await user.upload(PEOPLE)
    await user.add_version(dataset.dataset_id, AGES)
    assert kinds(await user.get(dataset.dataset_id)) == {}
    async with refused("PERSONAL_DATA_FOUND"):
        await user.update(dataset.dataset_id, visibility="public")


async def test_others_see_no_values(platform: Platform) -> None:
    """In the profile of a public dataset nobody but the owner sees values of people's columns."""
    user, other = platform.user(), platform.user()
    few = b"prenom,annee\n" + b"".join(
        f"{('Jean', 'Marie', 'Ines')[row % 3]},{row % 9}\n".encode() for row in range(40)
    )
    dataset = await user.upload(few)
    changes = [{"name": "annee", "personal_data": "national_id"}]
    await user.update(dataset.dataset_id, changes, visibility="public", confirm_personal_data=True)
    own = {column.name: column for column in (await user.profile(dataset.dataset_id)).columns}
    assert {top.value for top in own["prenom"].top_values} == {"Ines", "Jean", "Marie"}
    assert own["annee"].numeric.maximum == 8
    seen = {column.name: column for column in (await other.profile(dataset.dataset_id)).columns}
    for column in seen.values():
        assert not column.top_values
        assert not column.HasField("numeric")
        assert not column.HasField("histogram")
        assert column.distinct_count == own[column.name].distinct_count


async def test_versions_read_before_there_was_a_scan(platform: Platform) -> None:
    """A version that was never searched has no findings, says so, and becomes public only on confirmation."""
    user = platform.user()
    dataset = await user.upload(PEOPLE)
    async with platform.database.sessions.begin() as session:
        await session.execute(
            update(Version).where(Version.dataset_id == UUID(dataset.dataset_id)).values(personal_data=None)
        )
    assert kinds(await user.get(dataset.dataset_id)) == {}
    assert any("never" in text or "before" in text for text in (await user.profile(dataset.dataset_id)).warnings)
    async with refused("PERSONAL_DATA_FOUND") as refusal:
        await user.update(dataset.dataset_id, visibility="public")
    assert "1" in refusal.message
    await user.update(dataset.dataset_id, visibility="public", confirm_personal_data=True)
    assert (await user.update(dataset.dataset_id, description="x")).visibility == "public"
