"""API keys: used instead of signing in, by the library and the command line."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from mirage import AsyncClient, Client, FileCredentialStore
from mirage.api_key import API_KEY_VARIABLE
from mirage.cli import exit_codes
from mirage.errors import InvalidRequest, NotSignedIn
from services.auth.scopes import SCOPES
from tests.client.platform import API_KEY, EMAIL, LASTING_S, PASSWORD, SmallPlatform
from tests.client.test_command_line import Mirage, mirage

__all__ = ["mirage"]  # a fixture


async def test_a_key_is_traded_once(platform: SmallPlatform) -> None:
    """Many calls at once trade the key one time, and go on with the token that it gave."""
    async with AsyncClient(platform.url, api_key=API_KEY) as client:
        users = await asyncio.gather(*(client.account.me() for _ in range(10)))
        assert repr(client) == f"<AsyncClient {platform.url}, an API key>"
    assert {user.email for user in users} == {EMAIL}
    assert (platform.exchanges, platform.refreshes) == (1, 0)


async def test_tokens_are_renewed(platform: SmallPlatform) -> None:
    """A token that the platform refuses, and one near its end, is replaced by trading the key again."""
    async with AsyncClient(platform.url, api_key=API_KEY) as client:
        await client.account.me()
        platform.good_tokens.clear()
        await asyncio.gather(*(client.account.me() for _ in range(5)))
        assert platform.exchanges == 2
    platform.faults.expires_in = 0
    async with AsyncClient(platform.url, api_key=API_KEY) as client:
        await client.account.me()
        platform.faults.expires_in = LASTING_S
        await client.account.me()
        await client.account.me()
    assert platform.exchanges == 4


async def test_a_short_token_is_used(platform: SmallPlatform) -> None:
    """A key about to end gives short tokens, which are used for more than one call."""
    platform.faults.expires_in = 50
    async with AsyncClient(platform.url, api_key=API_KEY) as client:
        for _ in range(3):
            await client.account.me()
    assert platform.exchanges == 1


async def test_a_key_that_is_not_good(platform: SmallPlatform) -> None:
    """The error says what the platform said of the key, and how to get another."""
    async with AsyncClient(platform.url, api_key="mirage_ak_deleted") as client:
        with pytest.raises(NotSignedIn, match="was deleted") as caught:
            await client.account.me()
    assert "api-keys create" in caught.value.hint
    assert platform.get_me_calls == 0


async def test_where_the_key_comes_from(
    platform: SmallPlatform, store: FileCredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's key counts where none is given, before a kept session; an empty one means none."""
    monkeypatch.setenv(API_KEY_VARIABLE, f" {API_KEY}\n")
    async with AsyncClient(platform.url, api_key="", store=store) as client:
        await client.login(EMAIL, PASSWORD)
        await client.account.me()
    assert platform.exchanges == 0
    async with AsyncClient(platform.url, store=store) as client:
        await client.account.me()
        assert client.email is None
    assert platform.exchanges == 1
    assert store.load(platform.url) is not None
    with pytest.raises(InvalidRequest):
        Client(platform.url, api_key="two words")


async def test_there_is_no_session(platform: SmallPlatform) -> None:
    """With a key there is nothing to sign in to or out of, and nobody gets an account by accident."""
    async with AsyncClient(platform.url, api_key=API_KEY) as client:
        for call in (client.login(EMAIL, PASSWORD), client.logout(), client.register(EMAIL, PASSWORD)):
            with pytest.raises(InvalidRequest) as caught:
                await call
            assert caught.value.reason == "USES_API_KEY"


async def test_command_line(mirage: Mirage, platform: SmallPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is made, listed without itself, used from the environment, and deleted."""
    await mirage("login", EMAIL, "--password-stdin", standard_input=f"{PASSWORD}\n")
    made = await mirage("api-keys", "create", "nightly", "-s", "account:read", "-s", "datasets:read", "--days", "7")
    assert made.code == exit_codes.OK, made.messages
    assert API_KEY in made.output
    assert "never shown again" in made.messages
    listed = json.loads((await mirage("api-keys", "list", "--json")).output)
    assert listed[0]["scopes"] == ["account:read", "datasets:read"]
    assert "key" not in listed[0]
    ends = datetime.fromisoformat(listed[0]["expire_time"])
    assert timedelta(days=6) < ends - datetime.now(UTC) <= timedelta(days=7)
    assert "nightly" in (await mirage("api-keys", "list")).output
    monkeypatch.setenv(API_KEY_VARIABLE, API_KEY)
    assert EMAIL in (await mirage("whoami")).output
    assert platform.exchanges == 1
    assert (await mirage("logout")).code == exit_codes.USAGE
    asked = await mirage("api-keys", "delete", "key-0")
    assert (asked.code, "--yes" in asked.messages) == (exit_codes.USAGE, True)
    assert (await mirage("api-keys", "delete", "key-0", "--yes")).code == exit_codes.OK
    assert (await mirage("api-keys", "list")).output.strip() == "No keys."
    explained = (await mirage("api-keys", "create", "--help")).output
    assert not [scope for scope in SCOPES if scope not in explained]
    nameless = await mirage("api-keys", "create", "x")
    assert nameless.code == exit_codes.USAGE


@pytest.mark.parametrize("days", ["3000000", "99999999999999"])
async def test_the_platform_says_how_long_a_key_may_last(mirage: Mirage, platform: SmallPlatform, days: str) -> None:
    """The command line has no limit of its own: even a time beyond every calendar is the platform's to refuse."""
    await mirage("login", EMAIL, "--password-stdin", standard_input=f"{PASSWORD}\n")
    refused = await mirage("api-keys", "create", "lasting", "-s", "account:read", "--days", days)
    assert refused.code == exit_codes.USAGE, refused.messages
    assert "not after 9000" in refused.messages
