"""The activity service, killed again and again while it writes."""

import asyncio
import os
import random
import sys
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from servicekit.clients import open_channel
from services.activity.models import Record
from tests.activity.test_chain import assert_whole
from tests.support.auth_peer import SECRET
from tests.support.event_source import Source, open_source, until
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

KILLS = 100
_BATCH = 40


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_killed_a_hundred_times(postgres: PostgresForTests, tokens: Tokens, tmp_path: Path) -> None:
    """Killed a hundred times in the middle of writing, the log has every event once, and its chain is whole."""
    draw = random.Random(7)  # noqa: S311 - when to kill is no secret
    async with open_source(postgres, tokens, tmp_path) as source, source.delivering():
        told: list[str] = []
        for _ in range(KILLS):
            process = await _started(source)
            try:
                before = len(await source.logged())
                # The backlog is larger than what is written until the kill, so that it comes in the middle of some.
                told += await source.tell_at_once(_BATCH, times=10)
                await until(partial(_more, source, before))
                await asyncio.sleep(draw.uniform(0, 0.05))
            finally:
                process.kill()
                await process.wait()
        process = await _started(source)
        try:
            await until(lambda: _none_waits(source))
        finally:
            process.terminate()
            await process.wait()
        assert sorted(await source.logged()) == sorted(told)
        async with source.activity.sessions() as session:
            assert_whole(list(await session.scalars(select(Record).order_by(Record.seq))))


async def _started(source: Source) -> asyncio.subprocess.Process:
    """The service in a process of its own, once it serves."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": source.postgres.database_url("activity"),
        "AUTH_ADDRESS": source.auth_address,
        "SERVICE_CLIENT_ID": "activity",
        "SERVICE_CLIENT_SECRET": SECRET,
        "AUDIT_KEYS_DIR": str(source.audit_keys),
        "GRPC_PORT": str(source.activity_port),
        "METRICS_ENABLED": "false",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.activity", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    async with open_channel(f"127.0.0.1:{source.activity_port}", None) as channel:
        await asyncio.wait_for(channel.channel_ready(), 120)
    return process


async def _more(source: Source, than: int) -> bool:
    return len(await source.logged()) > than


async def _none_waits(source: Source) -> bool:
    return await source.waiting() == 0
