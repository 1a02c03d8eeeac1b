"""Somebody takes everything with them and leaves, while a part is away and others are killed: nothing is left."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pandas as pd
import pytest

from mirage import Client
from mirage.errors import NotFound, NotPossible, NotSignedIn, Unavailable
from mirage.records.administration import Deletion
from servicekit.database import asyncpg_dsn
from tests.e2e.conftest import PASSWORD
from tests.e2e.faults.parts import Parts, until
from tests.e2e.faults.test_processes import TRAINING
from tests.support.platform import PlatformForTests
from tests.support.traces import traces

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

NAME = "Ada Unmistakable Lovelace"


@contextmanager
def administrator(platform: PlatformForTests) -> Iterator[Client]:
    """A new administrator."""
    email = f"{uuid4().hex}@example.org"
    with Client(platform.url) as client:
        yield client.login(email, platform.make_administrator(email))


def left(platform: PlatformForTests, needles: list[str]) -> list[str]:
    """Where in any table of any schema any of some texts still is."""
    base = platform.platform.base
    found = []
    for service in base.ports:
        if service in base.credentials.postgres:
            found += asyncio.run(traces(asyncpg_dsn(base.database_url(service)), needles))
    return found


def leave(platform: PlatformForTests, client: Client, password: str = PASSWORD) -> httpx.Response:
    """Deletes an account as a web page does it."""
    with httpx.Client(base_url=platform.url, timeout=60) as web:
        token = web.post("/auth/login", json={"email": client.email, "password": PASSWORD}).json()["data"]
        web.headers["authorization"] = f"Bearer {token['access_token']}"
        return web.request("DELETE", "/users/account", json={"password": password})


def test_everything_goes(parts: Parts, platform: PlatformForTests, people: pd.DataFrame, tmp_path: Path) -> None:
    """With generation away, and auth and dataset killed, a user with one of everything leaves no row and no object."""
    email = f"{uuid4().hex}@example.org"
    with Client(platform.url) as client, Client(platform.url) as other, administrator(platform) as root:
        other.register(f"{uuid4().hex}@example.org", PASSWORD, "Grace")
        user = client.register(email, PASSWORD, NAME)
        client.account.create_api_key("a key", ["datasets:read"])
        dataset = client.datasets.upload(people, name="people", visibility="public")
        job = client.generate(dataset, "gaussian_copula", rows=20, progress=False)
        study = client.optimize(dataset, "gaussian_copula", 1, method="random", progress=False)
        running = client.generate(dataset, **TRAINING | {"epochs": 500}, wait=False)
        until(lambda: running.refresh().epoch, "the training to begin")
        root.admin.deactivate(user.id)
        root.admin.activate(user.id)
        client.login(email, PASSWORD)

        told = json.loads(client.account.export(tmp_path / "mine.json").read_text())
        assert (told["auth"]["account"]["display_name"], told["user_id"]) == (NAME, user.id)
        assert [each["dataset_id"] for each in told["dataset"]["datasets"]] == [dataset.id]
        assert {each["job_id"] for each in told["generation"]["jobs"]} == {job.id, running.id}
        assert [each["job_id"] for each in told["generation"]["quality_reports"]] == [job.id]
        assert job.model.id in {each["model_id"] for each in told["generation"]["models"]}
        assert [each["study_id"] for each in told["optimizer"]["studies"]] == [study.id]
        assert "account.registered" in {each["kind"] for each in told["activity"]["records"]}

        assert other.datasets.get(dataset.id).id == dataset.id
        parts.stop("generation")
        with pytest.raises(Unavailable):
            client.account.export(tmp_path / "half.json")
        assert not (tmp_path / "half.json").exists()
        assert leave(platform, client, "not the password").status_code == 400
        answer = leave(platform, client)
        assert answer.status_code == 200, answer.text
        deletion_id = answer.json()["data"]["deletion_id"]
        parts.kill("auth")
        parts.kill("dataset")
        until(lambda: _is_out(client), "the tokens to be refused")
        [behind] = [each for each in _deletions(root) if each.id == deletion_id]
        assert behind.user_id == user.id
        assert "done" not in {each.state for each in behind.services if each.service == "generation"}
        parts.start("generation")

        until(lambda: [each.state for each in _deletions(root) if each.id == deletion_id] == ["done"], "the end of it")
        assert left(platform, [user.id, email, NAME]) == []
        assert parts.objects("dataset", user.id) == parts.objects("generation", user.id) == set()
        with pytest.raises(NotFound):
            other.datasets.get(dataset.id)
        assert other.generate(other.datasets.upload(people), "gaussian_copula", rows=5).state == "succeeded"
        [record] = root.admin.logs(action="account.deleted", limit=1)
        assert (record.actor_id, record.owner_id, record.personal) == ("", "", {})
        assert user.id not in record.object_id
        assert client.register(email, PASSWORD, "Somebody else").id != user.id


def test_the_last_administrator(platform: PlatformForTests) -> None:
    """Two administrators who switch each other off at once: one stays, and can't leave either."""
    with administrator(platform) as one, administrator(platform) as two:
        ids = [one.account.me().id, two.account.me().id]
        for user in one.admin.users(role="administrator"):
            if user.id not in ids:
                one.admin.set_role(user.id, "user")

        async def at_once() -> Sequence[object]:
            return await asyncio.gather(
                asyncio.to_thread(one.admin.set_role, ids[1], "user"),
                asyncio.to_thread(two.admin.set_role, ids[0], "user"),
                return_exceptions=True,
            )

        outcomes = asyncio.run(at_once())
        assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1
        last = one if isinstance(outcomes[1], BaseException) else two
        with pytest.raises(NotPossible):
            last.account.delete("a passphrase of four words")
        assert [user.email for user in last.admin.users(role="administrator", state="active")] == [last.email]
        changes = last.admin.logs(action="account.role_changed", limit=1)
        assert changes[0].actor_id == last.account.me().id


def _deletions(root: Client) -> list[Deletion]:
    """The ends of accounts; none while auth is just being started again."""
    try:
        return root.admin.deletions()
    except Unavailable:
        return []


def _is_out(client: Client) -> bool:
    try:
        client.account.me()
    except NotSignedIn:
        return True
    except Unavailable:
        return False
    return False
