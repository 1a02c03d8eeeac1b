"""Whoever is out is out everywhere: within five seconds no service takes the token, nor goes on with its streams."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.auth.v1 import (
    administration_pb2,
    administration_pb2_grpc,
    api_key_pb2,
    api_key_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
)
from mirage.dataset.v1 import dataset_pb2, dataset_pb2_grpc
from mirage.generation.v1 import job_pb2, job_pb2_grpc
from tests.e2e.conftest import PASSWORD
from tests.support.errors import refused
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

PROMISED_S = 5.0
Metadata = tuple[tuple[str, str], ...]


def bearer(token: str) -> Metadata:
    """What makes a call somebody's."""
    return (("authorization", f"Bearer {token}"),)


@dataclass
class Doors:
    """Every way in."""

    url: str
    channels: Mapping[str, grpc.aio.Channel]
    http: httpx.AsyncClient

    @property
    def sessions(self) -> Any:
        return session_pb2_grpc.SessionServiceStub(self.channels["auth"])

    @property
    def administration(self) -> Any:
        return administration_pb2_grpc.AdministrationServiceStub(self.channels["auth"])

    @property
    def keys(self) -> Any:
        return api_key_pb2_grpc.ApiKeyServiceStub(self.channels["auth"])

    async def sign_in(self, email: str, password: str = PASSWORD) -> str:
        """An access token of a new session."""
        request = session_pb2.LoginRequest(email=email, password=password)
        return str((await self.sessions.Login(request)).access_token)

    async def new_user(self) -> tuple[str, str]:
        """Somebody's address and id."""
        email = f"{uuid4().hex}@example.org"
        request = session_pb2.RegisterRequest(email=email, password=PASSWORD, display_name="Ada")
        return email, (await self.sessions.Register(request)).user_id

    async def open_to(self, token: str) -> set[str]:
        """The doors that a token opens."""
        datasets = dataset_pb2_grpc.DatasetServiceStub(self.channels["dataset"])
        jobs = job_pb2_grpc.JobServiceStub(self.channels["generation"])
        metadata = bearer(token)
        answers = {
            "dataset": await _lets_in(datasets.ListDatasets(dataset_pb2.ListDatasetsRequest(), metadata=metadata)),
            "generation": await _lets_in(jobs.ListJobs(job_pb2.ListJobsRequest(), metadata=metadata)),
            "auth": await _lets_in(self.sessions.ListSessions(session_pb2.ListSessionsRequest(), metadata=metadata)),
        }
        for name, path in (("datasets", "/datasets"), ("jobs", "/api/v1/generation/requests")):
            answer = await self.http.get(self.url + path, headers=dict(metadata))
            answers[f"gateway to {name}"] = answer.status_code != httpx.codes.UNAUTHORIZED
        return {name for name, is_open in answers.items() if is_open}

    async def all_close(self, token: str) -> None:
        """Waits until the token opens nothing, as long as is promised."""
        deadline = time.monotonic() + PROMISED_S
        while still := await self.open_to(token):
            assert time.monotonic() < deadline, f"still open: {sorted(still)}"


async def _lets_in(call: Awaitable[Any]) -> bool:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            return False
        raise
    return True


@pytest.fixture
async def doors(platform: PlatformForTests) -> AsyncIterator[Doors]:
    """The running platform's services themselves, and its gateway."""
    async with AsyncExitStack() as stack:
        channels = {
            name: await stack.enter_async_context(grpc.aio.insecure_channel(platform.service_address(name)))
            for name in ("auth", "dataset", "generation")
        }
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
        yield Doors(platform.url, channels, http)


async def sign_out(doors: Doors, email: str, _user_id: str, _root: str) -> str:
    """This session only."""
    token, other = await doors.sign_in(email), await doors.sign_in(email)
    await doors.sessions.Logout(session_pb2.LogoutRequest(), metadata=bearer(token))
    assert len(await doors.open_to(other)) == 5
    return token


async def sign_out_everywhere(doors: Doors, email: str, _user_id: str, _root: str) -> str:
    """Every session, from another one."""
    token, other = await doors.sign_in(email), await doors.sign_in(email)
    await doors.open_to(token)  # known to every service as good
    await doors.sessions.Logout(session_pb2.LogoutRequest(all=True), metadata=bearer(other))
    return token


async def change_password(doors: Doors, email: str, _user_id: str, _root: str) -> str:
    """A new password ends the other sessions, not the one that sets it."""
    token, other = await doors.sign_in(email), await doors.sign_in(email)
    request = session_pb2.ChangePasswordRequest(old_password=PASSWORD, new_password="Another battery staple 9")
    await doors.sessions.ChangePassword(request, metadata=bearer(other))
    await doors.all_close(token)
    assert len(await doors.open_to(other)) == 5
    return token


async def deactivate(doors: Doors, email: str, user_id: str, root: str) -> str:
    """An administrator switches the account off, and on again: what was revoked stays so."""
    token = await doors.sign_in(email)
    for change, request in (
        (doors.administration.DeactivateUser, administration_pb2.DeactivateUserRequest(user_id=user_id)),
        (doors.administration.ActivateUser, administration_pb2.ActivateUserRequest(user_id=user_id)),
    ):
        await change(request, metadata=bearer(root))
    await doors.all_close(token)
    assert len(await doors.open_to(await doors.sign_in(email))) == 5
    return token


async def delete(doors: Doors, email: str, user_id: str, root: str) -> str:
    """An administrator deletes the account."""
    token = await doors.sign_in(email)
    await doors.administration.DeleteUser(administration_pb2.DeleteUserRequest(user_id=user_id), metadata=bearer(root))
    return token


async def demote(doors: Doors, email: str, user_id: str, root: str) -> str:
    """An administrator is one no longer."""
    for role in ("administrator", "user"):
        token = await doors.sign_in(email)
        request = administration_pb2.SetUserRoleRequest(user_id=user_id, role=role)
        await doors.administration.SetUserRole(request, metadata=bearer(root))
    return token


async def delete_key(doors: Doors, email: str, _user_id: str, _root: str) -> str:
    """An API key is deleted after a token was made from it."""
    person = await doors.sign_in(email)
    made = await doors.keys.CreateApiKey(
        api_key_pb2.CreateApiKeyRequest(
            name="a program", scopes=["credentials:read", "datasets:read", "generation:read"]
        ),
        metadata=bearer(person),
    )
    form = {"grant_type": "urn:mirage:api-key", "api_key": made.key}
    answer = await doors.http.post(f"{doors.url}/auth/token", data=form)
    token = str(answer.json()["access_token"])
    await doors.keys.DeleteApiKey(api_key_pb2.DeleteApiKeyRequest(key_id=made.key_id), metadata=bearer(person))
    return token


@pytest.fixture(scope="module")
def administrator(platform: PlatformForTests) -> tuple[str, str]:
    """An administrator's address and password."""
    email = f"{uuid4().hex}@example.org"
    return email, platform.make_administrator(email)


@pytest.fixture
async def root(administrator: tuple[str, str], doors: Doors) -> str:
    """An administrator's token."""
    return await doors.sign_in(*administrator)


@pytest.mark.parametrize(
    "leave", [sign_out, sign_out_everywhere, change_password, deactivate, delete, demote, delete_key]
)
async def test_revoked_tokens(doors: Doors, root: str, leave: Callable[[Doors, str, str, str], Awaitable[str]]) -> None:
    """Whatever ends a token, it opens no service's port and no route through the gateway within five seconds."""
    email, user_id = await doors.new_user()
    await doors.all_close(await leave(doors, email, user_id, root))


async def test_running_streams_end(doors: Doors, client: Client, email: str, flights: pd.DataFrame) -> None:
    """A stream that was opened before somebody signed out ends within five seconds, and says why."""
    dataset = await asyncio.to_thread(client.datasets.upload, flights, name="flights")
    started = job_pb2.StartJobRequest(dataset_id=dataset.id)
    started.model_config.update({"model_type": "ctgan", "epochs": 300})
    job = (await asyncio.to_thread(client.jobs.start, started)).id
    token = await doors.sign_in(email)
    stream = job_pb2_grpc.JobServiceStub(doors.channels["generation"]).WatchJob(
        job_pb2.WatchJobRequest(job_id=job), metadata=bearer(token)
    )
    await stream.read()
    await doors.sessions.Logout(session_pb2.LogoutRequest(), metadata=bearer(token))
    async with asyncio.timeout(PROMISED_S), refused("TOKEN_REVOKED", grpc.StatusCode.UNAUTHENTICATED):
        while await stream.read() is not grpc.aio.EOF:
            pass
    await asyncio.to_thread(client.jobs.get(job).cancel)
