"""Signing up, one's own account, password and profile."""

import asyncio

import bcrypt
import grpc
import grpc.aio
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select, update

from mirage.auth.v1 import account_pb2, session_pb2
from servicekit.structs import from_struct, to_struct
from services.auth.models import User
from tests.auth.platform import PASSWORD, AuthService, Person
from tests.support.errors import refused

NEW_PASSWORD = "Battery-staple-9"


async def change_password(auth: AuthService, person: Person, old: str, new: str) -> int:
    """How many sessions somebody's new password ended."""
    request = session_pb2.ChangePasswordRequest(old_password=old, new_password=new)
    return (await auth.sessions.ChangePassword(request, metadata=person.metadata)).ended_sessions


async def stored_hash(auth: AuthService) -> str:
    """The password hash of the only account."""
    async with auth.database.sessions() as session:
        return (await session.scalars(select(User.password_hash))).one()


async def test_register(auth: AuthService) -> None:
    """A new account is an active user's, its address in normal form, its password an argon2id hash."""
    user = await auth.register("Ada.Lovelace@EXAMPLE.org", name="Ada Lovelace")
    assert (user.email, user.display_name, user.role) == ("Ada.Lovelace@example.org", "Ada Lovelace", "user")
    assert user.state == account_pb2.USER_STATE_ACTIVE
    assert user.create_time == user.update_time
    assert (await stored_hash(auth)).startswith("$argon2id$")


async def test_register_names_every_wrong_field(auth: AuthService) -> None:
    """All that is wrong with a registration is told at once, and what would be right; no value is repeated."""
    async with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await auth.register("nobody", "hunter2", "")
    assert set(refusal.violations) == {"email", "password", "display_name"}
    assert "10 to 128 characters" in refusal.violations["password"]
    assert "is too easy to guess. This is a very common password." in refusal.violations["password"]
    assert "hunter2" not in refusal.message


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("Short-1", "10 to 128"),
        ("Long-1" + "x" * 123, "10 to 128"),
        ("My-lovelace-77", "name of the e-mail address"),
        ("Grandmother-ada-9", "must not contain your name"),
        ("At-EXAMPLE-since-9", "domain of the e-mail address"),
        ("Passw0rd-2026!", "too easy to guess"),
    ],
)
async def test_weak_passwords(auth: AuthService, password: str, fault: str) -> None:
    """A weak password is refused with what it lacks."""
    async with refused("INVALID_REQUEST") as refusal:
        await auth.register("Lovelace@example.org", password, "Grandmother A.")
    assert set(refusal.violations) == {"password"}
    assert fault in refusal.violations["password"]


async def test_everything_that_is_weak_is_told_at_once(auth: AuthService) -> None:
    """Whoever takes a bad password is told all that is wrong with it, not one thing after the other."""
    async with refused("INVALID_REQUEST") as refusal:
        await auth.register("password@summer.example", "password", "Password")
    told = refusal.violations["password"]
    for fault in ("10 to 128", "too easy to guess", "name of the e-mail", "your name"):
        assert fault in told


@pytest.mark.parametrize(
    "password", ["Correct-horse-7", "correct horse battery staple", "пароль-Сложный-1", "x" * 7 + "Aa1-3456789" * 11]
)
async def test_strong_passwords(auth: AuthService, password: str) -> None:
    """A few words, a long phrase, any script, and up to 128 characters: all are good to sign in with."""
    user = await auth.register("ada@example.org", password)
    assert (await auth.login("ada@example.org", password)).user_id == user.user_id


async def test_surrounding_space_is_no_part_of_a_name(auth: AuthService) -> None:
    """White space that slipped into an address or a name is dropped, at signing up and at signing in."""
    user = await auth.register(" ada@example.org ", name=" Ada ")
    assert (user.email, user.display_name) == ("ada@example.org", "Ada")
    assert (await auth.login("ada@example.org\t")).user_id == user.user_id


async def test_nothing_given(auth: AuthService) -> None:
    """What is left out is said to be required, and nothing else of it."""
    async with refused("INVALID_REQUEST") as refusal:
        await auth.sessions.Register(session_pb2.RegisterRequest())
    assert refusal.violations == dict.fromkeys(("email", "display_name", "password"), "is required")


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines", "nul\0"])
async def test_wrong_names(auth: AuthService, name: str) -> None:
    """A name is one line of 1 to 100 characters."""
    async with refused("INVALID_REQUEST") as refusal:
        await auth.register(name=name)
    assert set(refusal.violations) == {"display_name"}


@pytest.mark.parametrize(
    "email", ["a@b", "a b@example.org", "@example.org", "a@-.org", "a@example.org\0", f"{'x' * 300}@example.org"]
)
async def test_wrong_addresses(auth: AuthService, email: str) -> None:
    """What is no address is refused."""
    async with refused("INVALID_REQUEST") as refusal:
        await auth.register(email)
    assert set(refusal.violations) == {"email"}


async def test_addresses_are_unique_whatever_their_case(auth: AuthService) -> None:
    """One address has one account, even for two registrations at once."""
    outcomes = await asyncio.gather(
        *(auth.register(email) for email in ("Émile@example.org", "éMILE@EXAMPLE.ORG", "émile@example.org")),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, account_pb2.User) for outcome in outcomes) == 1
    async with refused("EMAIL_TAKEN", grpc.StatusCode.ALREADY_EXISTS):
        await auth.register("ÉMILE@example.org")


async def test_me(auth: AuthService) -> None:
    """Somebody sees their own account."""
    person = await auth.user("ada@example.org")
    me = await auth.me(person.pair.access_token)
    assert (me.user_id, me.email) == (person.user_id, "ada@example.org")


async def test_change_of_name(auth: AuthService) -> None:
    """What is given changes, what is absent stays, and the change shows in its time."""
    person = await auth.user("ada@example.org")
    before = await auth.me(person.pair.access_token)
    after = await auth.accounts.UpdateMe(account_pb2.UpdateMeRequest(display_name="Augusta"), metadata=person.metadata)
    assert (after.display_name, after.email) == ("Augusta", "ada@example.org")
    assert after.update_time.ToDatetime() > before.update_time.ToDatetime()
    unchanged = await auth.accounts.UpdateMe(account_pb2.UpdateMeRequest(), metadata=person.metadata)
    assert unchanged == after


async def test_change_of_address(auth: AuthService) -> None:
    """A new address needs the password, must be free, and is what signs in from then on."""
    person = await auth.user("ada@example.org")
    await auth.register("taken@example.org")
    update_me = auth.accounts.UpdateMe
    for password, reason in ((None, "INVALID_REQUEST"), ("Wrong-horse-77", "WRONG_PASSWORD")):
        async with refused(reason, grpc.StatusCode.INVALID_ARGUMENT) as refusal:
            await update_me(
                account_pb2.UpdateMeRequest(email="new@example.org", password=password), metadata=person.metadata
            )
        assert set(refusal.violations) == {"password"}
    async with refused("EMAIL_TAKEN"):
        await update_me(
            account_pb2.UpdateMeRequest(email="Taken@example.org", password=PASSWORD), metadata=person.metadata
        )
    changed = await update_me(
        account_pb2.UpdateMeRequest(email="new@example.org", password=PASSWORD), metadata=person.metadata
    )
    assert changed.email == "new@example.org"
    assert (await auth.login("new@example.org")).user_id == person.user_id
    async with refused("INVALID_CREDENTIALS"):
        await auth.login("ada@example.org")


async def test_the_same_address_is_no_change(auth: AuthService) -> None:
    """Sending an account back as it is needs no password."""
    person = await auth.user("ada@example.org")
    same = await auth.accounts.UpdateMe(
        account_pb2.UpdateMeRequest(email="ada@EXAMPLE.org", display_name="Ada"), metadata=person.metadata
    )
    assert same == await auth.me(person.pair.access_token)


async def test_change_password(auth: AuthService) -> None:
    """A new password ends the other sessions and keeps this one; the old one is good for nothing any more."""
    here, there = await auth.user("ada@example.org"), await auth.login("ada@example.org")
    assert await change_password(auth, here, PASSWORD, NEW_PASSWORD) == 1
    assert (await auth.me(here.pair.access_token)).user_id == here.user_id
    async with refused("SESSION_ENDED"):
        await auth.me(there.pair.access_token)
    async with refused("INVALID_CREDENTIALS"):
        await auth.login("ada@example.org", PASSWORD)
    assert (await auth.login("ada@example.org", NEW_PASSWORD)).user_id == here.user_id


async def test_change_password_refuses(auth: AuthService) -> None:
    """A wrong old password, and a weak or unchanged new one, leave everything as it is."""
    person = await auth.user("ada@example.org")
    async with refused("WRONG_PASSWORD", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await change_password(auth, person, "Wrong-horse-77", NEW_PASSWORD)
    assert set(refusal.violations) == {"old_password"}
    for new in ("weak", PASSWORD):
        async with refused("INVALID_REQUEST") as refusal:
            await change_password(auth, person, PASSWORD, new)
        assert set(refusal.violations) == {"new_password"}
    assert (await auth.login("ada@example.org", PASSWORD)).user_id == person.user_id


async def test_concurrent_password_changes(auth: AuthService) -> None:
    """Of two changes at once with the same old password only one is made."""
    person = await auth.user("ada@example.org")
    new = [f"{NEW_PASSWORD}-{number}" for number in range(4)]
    outcomes = await asyncio.gather(
        *(change_password(auth, person, PASSWORD, password) for password in new), return_exceptions=True
    )
    made = [password for password, outcome in zip(new, outcomes, strict=True) if outcome == 0]
    assert len(made) == 1
    assert (await auth.login("ada@example.org", made[0])).user_id == person.user_id


async def test_bcrypt_hashes_are_verified_and_upgraded(auth: AuthService) -> None:
    """An imported bcrypt hash signs its owner in, even several times at once, and is argon2id's afterwards."""
    password = "Ünïcode-" + "long-password-7" * 6  # bcrypt saw its first 72 bytes only
    await auth.register("ada@example.org")
    imported = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    async with auth.database.sessions.begin() as session:
        await session.execute(update(User).values(password_hash=imported))
    async with refused("INVALID_CREDENTIALS"):
        await auth.login("ada@example.org", "Wrong-horse-77")
    assert await stored_hash(auth) == imported
    people = await asyncio.gather(*(auth.login("ada@example.org", password) for _ in range(3)))
    assert len({person.user_id for person in people}) == 1
    assert (await stored_hash(auth)).startswith("$argon2id$")
    await auth.login("ada@example.org", password)


async def test_cheaper_hashes_are_upgraded(auth: AuthService) -> None:
    """A hash of a lower cost than the settings ask for is replaced at the next sign-in."""
    await auth.register("ada@example.org")
    strong = (await stored_hash(auth)).split("$")[3]
    cheap = Argon2Hasher(time_cost=1, memory_cost=32, parallelism=1).hash(PASSWORD)
    async with auth.database.sessions.begin() as session:
        await session.execute(update(User).values(password_hash=cheap))
    await auth.login("ada@example.org")
    assert (await stored_hash(auth)).split("$")[3] == strong


async def test_profile(auth: AuthService) -> None:
    """A profile is empty at first; what is given changes, what is absent stays, empty clears."""
    person, stranger = await auth.user(), await auth.user()
    empty = await auth.accounts.GetProfile(account_pb2.GetProfileRequest(), metadata=person.metadata)
    assert empty == account_pb2.Profile(user_id=person.user_id, preferences=to_struct({}))
    preferences = {"theme": "dark", "sizes": [1, 2.5], "nested": {"on": True, "nothing": None}}
    update_profile = auth.accounts.UpdateProfile
    await update_profile(
        account_pb2.UpdateProfileRequest(organisation=" Analytical Engines ", preferences=to_struct(preferences)),
        metadata=person.metadata,
    )
    changed = await update_profile(account_pb2.UpdateProfileRequest(locale="en-GB"), metadata=person.metadata)
    assert (changed.organisation, changed.locale) == ("Analytical Engines", "en-GB")
    assert from_struct(changed.preferences) == preferences
    assert changed.HasField("update_time")
    assert changed == await auth.accounts.GetProfile(account_pb2.GetProfileRequest(), metadata=person.metadata)
    cleared = await update_profile(
        account_pb2.UpdateProfileRequest(organisation="", preferences=to_struct({})), metadata=person.metadata
    )
    assert (cleared.organisation, cleared.locale, from_struct(cleared.preferences)) == ("", "en-GB", {})
    theirs = await auth.accounts.GetProfile(account_pb2.GetProfileRequest(), metadata=stranger.metadata)
    assert theirs.locale == ""


async def test_first_profile_changes_at_once(auth: AuthService) -> None:
    """Two first changes at once are both kept."""
    person = await auth.user()
    await asyncio.gather(
        auth.accounts.UpdateProfile(account_pb2.UpdateProfileRequest(locale="de"), metadata=person.metadata),
        auth.accounts.UpdateProfile(account_pb2.UpdateProfileRequest(organisation="ACM"), metadata=person.metadata),
    )
    profile = await auth.accounts.GetProfile(account_pb2.GetProfileRequest(), metadata=person.metadata)
    assert (profile.locale, profile.organisation) == ("de", "ACM")


async def test_wrong_profiles(auth: AuthService) -> None:
    """Every wrong field of a profile is named."""
    person = await auth.user()
    wrong = [
        account_pb2.UpdateProfileRequest(
            organisation="x" * 201, locale="not a tag", preferences=to_struct({"big": "é" * 8_192})
        ),
        account_pb2.UpdateProfileRequest(organisation="nul\0", locale="e", preferences=to_struct({"nul": ["\0"]})),
        account_pb2.UpdateProfileRequest(
            organisation="two\nlines", locale="en_GB", preferences=to_struct({"no number": float("nan")})
        ),
    ]
    for request in wrong:
        async with refused("INVALID_REQUEST") as refusal:
            await auth.accounts.UpdateProfile(request, metadata=person.metadata)
        assert set(refusal.violations) == {"organisation", "locale", "preferences"}
