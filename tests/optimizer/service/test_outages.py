"""What dies or goes away while a study runs: the process that drives it, and the generation service."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import grpc.aio
import pytest
from pydantic import SecretStr

from mirage.optimizer.v1 import study_pb2
from servicekit.server import running
from servicekit.structs import from_struct
from services.optimizer.server import application
from services.optimizer.settings import Settings
from tests.optimizer.service.peers import TrialPeer, serving_trials
from tests.optimizer.service.platform import Client, settings_for, until
from tests.support.auth_peer import serving_auth
from tests.support.postgres import PostgresForTests, running_postgres
from tests.support.tokens import Tokens

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Far longer than any test: whoever takes a dead process's study over knows of the death by something else.
_SILENCE_S = 600.0


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresForTests]:
    """A server of its own: on the one that all share, the service that other tests share would take studies up too."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@asynccontextmanager
async def _a_process(settings: Settings) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The service in a process of its own and its address; killed at the end unless it is gone."""
    values = settings.model_dump(exclude_none=True)
    environment = {
        name.upper(): str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in values.items()
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.optimizer",
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = process.stdout
    async with asyncio.timeout(60):
        while (line := json.loads(await lines.readline()))["message"] != "serving":
            pass
    drain = asyncio.create_task(lines.read())
    try:
        yield process, line["metadata"]["address"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        sys.stdout.write((await drain).decode())  # pytest shows it where a test fails


@pytest.mark.slow
async def test_the_process_that_drives_a_study_is_killed(postgres: PostgresForTests, tokens: Tokens) -> None:
    """Another takes the study up where it was: trials that run are followed on, none is ordered or told twice."""
    peer = TrialPeer()
    peer.held = lambda number: number in (2, 3)
    async with serving_auth(tokens) as auth, serving_trials(peer, tokens) as generation:
        settings = settings_for(postgres, auth, generation, study_heartbeat_seconds=_SILENCE_S)
        async with _a_process(settings) as (killed, address), grpc.aio.insecure_channel(address) as channel:
            user = _user(channel, tokens)
            started = await user.start(peer.add_dataset(user.user_id), n_trials=6, parallel_trials=2)

            async def held() -> bool:
                found = await user.trials(started.study_id, state=study_pb2.TRIAL_STATE_RUNNING)
                return [trial.number for trial in found] == [2, 3]

            await until(held)
            before = (await user.get(started.study_id)).trials_ended
            killed.kill()
            await killed.wait()
        peer.released.set()
        async with _a_process(settings) as (_, address), grpc.aio.insecure_channel(address) as channel:
            user = Client(channel, user.user_id, tokens.user(user.user_id))
            events = await user.events(started.study_id)
            study = await user.get(started.study_id)
            trials = await user.trials(started.study_id)
    assert before == 1
    assert study.state == study_pb2.STUDY_STATE_SUCCEEDED
    assert [trial.state for trial in trials] == [study_pb2.TRIAL_STATE_SUCCEEDED] * 6
    assert study.trials_ended == 6
    ended = [event.trial.number for event in events if event.kind == "trial_ended"]
    assert sorted(ended) == [1, 2, 3, 4, 5, 6]
    epochs = [event.trial.epoch for event in events if event.kind == "epoch" and event.trial.number == 2]
    assert epochs == sorted(epochs), "what was told before isn't told again"
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert len({str(from_struct(trial.parameters)) for trial in trials}) == 6


async def test_the_generation_service_is_away_for_a_while(postgres: PostgresForTests, tokens: Tokens) -> None:
    """A study waits for it and goes on; a request that needs it is told so at once."""
    peer = TrialPeer()
    peer.held = lambda number: number == 2
    async with serving_auth(tokens) as auth:
        async with serving_trials(peer, tokens) as address:
            settings = settings_for(postgres, auth, address)
            port = int(address.rpartition(":")[2])
            service = running(settings, application(settings))
            channel = grpc.aio.insecure_channel(await service.__aenter__())
            user = _user(channel, tokens)
            dataset = peer.add_dataset(user.user_id)
            started = await user.start(dataset, n_trials=3)

            async def second_runs() -> bool:
                return bool(await user.trials(started.study_id, state=study_pb2.TRIAL_STATE_RUNNING))

            await until(second_runs)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await user.start(dataset)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        peer.released.set()
        async with serving_trials(peer, tokens, port):
            study = await user.ended(started.study_id)
        await channel.close()
        await service.__aexit__(None, None, None)
    assert study.state == study_pb2.STUDY_STATE_SUCCEEDED
    assert study.trials_ended == 3
    assert len(peer.of(study.study_id)) <= 3


def _user(channel: grpc.aio.Channel, tokens: Tokens) -> Client:
    user_id = uuid4()
    return Client(channel, user_id, tokens.user(user_id))
