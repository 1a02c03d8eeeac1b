"""Tokens: kept, renewed, shared, forgotten."""

import asyncio
import stat
import sys

import pytest

from mirage import AsyncClient, FileCredentialStore, MemoryCredentialStore
from mirage.errors import NotSignedIn
from tests.client.platform import EMAIL, LASTING_S, PASSWORD, SmallPlatform


async def test_wrong_password(platform: SmallPlatform) -> None:
    """A wrong password is told as such, and nothing is kept."""
    async with AsyncClient(platform.url) as client:
        with pytest.raises(NotSignedIn, match="password is wrong"):
            await client.login(EMAIL, "wrong")
        assert client.email is None


async def test_nobody_signed_in(platform: SmallPlatform) -> None:
    """Without tokens nothing is sent, and the error says how to sign in."""
    async with AsyncClient(platform.url) as client:
        with pytest.raises(NotSignedIn) as caught:
            await client.account.me()
    assert caught.value.reason == "NOT_SIGNED_IN"
    assert "mirage login" in caught.value.hint
    assert platform.get_me_calls == 0


async def test_token_near_its_end_is_renewed_once(platform: SmallPlatform) -> None:
    """Many calls at once with a token near its end renew it one time, and all of them succeed."""
    platform.faults.expires_in = 30
    async with AsyncClient(platform.url) as client:
        await client.login(EMAIL, PASSWORD)
        platform.faults.expires_in = LASTING_S
        users = await asyncio.gather(*(client.account.me() for _ in range(20)))
    assert {user.email for user in users} == {EMAIL}
    assert (platform.refreshes, platform.reuses) == (1, 0)


async def test_refused_token_is_renewed(platform: SmallPlatform, client: AsyncClient) -> None:
    """Calls whose token the platform refuses, whatever its age, renew it one time and are made again."""
    platform.good_tokens.clear()
    await asyncio.gather(*(client.account.me() for _ in range(10)))
    assert (platform.refreshes, platform.reuses) == (1, 0)


async def test_ended_session(platform: SmallPlatform, client: AsyncClient) -> None:
    """A session that has ended is forgotten, and the error says so."""
    platform.good_tokens.clear()
    platform.live_refresh_tokens.clear()
    with pytest.raises(NotSignedIn) as caught:
        await client.account.me()
    assert caught.value.reason == "SESSION_ENDED"
    assert client.email is None


async def test_interrupted_renewal_keeps_the_new_tokens(platform: SmallPlatform) -> None:
    """A call that is cancelled while tokens are renewed doesn't lose the new ones: the old ones are spent."""
    platform.faults.expires_in = 30
    platform.faults.slow_refresh = asyncio.Event()
    async with AsyncClient(platform.url) as client:
        await client.login(EMAIL, PASSWORD)
        platform.faults.expires_in = LASTING_S
        call = asyncio.create_task(client.account.me())
        await platform.refreshing.wait()
        call.cancel()
        await asyncio.sleep(0)
        platform.faults.slow_refresh.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await client.account.me()).email == EMAIL
    assert (platform.refreshes, platform.reuses) == (1, 0)


async def test_clients_that_share_a_file_take_turns(platform: SmallPlatform, store: FileCredentialStore) -> None:
    """Clients that share a credential file renew its token one time between them; none uses a spent one."""
    platform.faults.expires_in = 30
    async with AsyncClient(platform.url, store=store) as first:
        await first.login(EMAIL, PASSWORD)
        platform.faults.expires_in = LASTING_S
        others = [AsyncClient(platform.url, store=FileCredentialStore(store.path)) for _ in range(5)]
        await asyncio.gather(*(client.account.me() for client in [first, *others]))
        for client in others:
            await client.close()
    assert (platform.refreshes, platform.reuses) == (1, 0)


async def test_programs_that_share_a_file_take_turns(platform: SmallPlatform, store: FileCredentialStore) -> None:
    """Separate programs that share a credential file renew its token one time between them."""
    platform.faults.expires_in = 30
    async with AsyncClient(platform.url, store=store) as client:
        await client.login(EMAIL, PASSWORD)
    platform.faults.expires_in = LASTING_S
    program = (
        "import sys, pathlib; from mirage import Client, FileCredentialStore; "
        "print(Client(sys.argv[1], store=FileCredentialStore(pathlib.Path(sys.argv[2]))).account.me().email)"
    )
    programs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, platform.url, str(store.path), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = [(await each.communicate())[0].decode().strip() for each in programs]
    assert outputs == [EMAIL] * 3
    assert (platform.refreshes, platform.reuses) == (1, 0)


async def test_file_is_private_and_keyed_by_platform(platform: SmallPlatform, store: FileCredentialStore) -> None:
    """Only their owner can read tokens in a file; each platform has its own, and signing out removes them."""
    async with AsyncClient(platform.url, store=store) as client:
        await client.login(EMAIL, PASSWORD)
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
        assert AsyncClient("http://elsewhere.example:8080", store=store).email is None
        assert AsyncClient(platform.url, store=FileCredentialStore(store.path)).email == EMAIL
        await client.logout()
    assert store.load(platform.url) is None
    assert not platform.good_tokens


async def test_signing_out_twice(platform: SmallPlatform, client: AsyncClient) -> None:
    """Signing out a second time changes nothing."""
    await client.logout()
    await client.logout()


def test_damaged_file_counts_as_empty(store: FileCredentialStore) -> None:
    """A credential file that was damaged means that nobody is signed in, not that nothing works."""
    store.path.parent.mkdir()
    for content in ("", "[]", "{", '{"http://localhost:8080": {"access_token": 1}}'):
        store.path.write_text(content)
        assert store.load("http://localhost:8080") is None


def test_memory_store_forgets() -> None:
    """Tokens in memory are of one client only."""
    assert MemoryCredentialStore().load("http://localhost:8080") is None
