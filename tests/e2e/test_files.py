"""Files of all kinds through the gateway: read, refused, cut off; and a model of a table that has everything."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from mirage import Client
from servicekit.database import Database
from servicekit.object_store import ObjectStore
from services.dataset.settings import Settings
from tests.dataset.files.accepted import ACCEPTED, Accepted
from tests.dataset.files.refused import REFUSED, Refused
from tests.dataset.service.platform import until
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

_READ = [file for file in ACCEPTED if file.name in {"utf-16 with a mark", "latin-1", "gzip", "nested json", "zstd"}]
_WRONG = [
    file for file in REFUSED if file.name in {"an empty file", "ragged rows", "html", "truncated xlsx", "a zip bomb"}
]
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\na,b\n' + b"1,2\n" * 50_000 + b"\r\n"
)


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in, and the platform behind."""

    http: httpx.Client
    owner_id: str
    platform: PlatformForTests

    def refused(self, response: httpx.Response, status: int) -> dict[str, Any]:
        """The error of a refusal, which has left nothing."""
        assert response.status_code == status, response.text
        assert asyncio.run(self.left()) == (0, 0, 0)
        error: dict[str, Any] = response.json()["error"]
        return error

    async def left(self) -> tuple[int, int, int]:
        """How many datasets, objects, and objects to be removed are this person's."""
        async with _behind(self.platform) as (database, store):
            return await self._left(database, store)

    async def nothing_left(self) -> None:
        """Returns once nothing is left: a client that goes away isn't told when its upload has been put away."""
        async with _behind(self.platform) as (database, store):

            async def gone() -> bool:
                return await self._left(database, store) == (0, 0, 0)

            await until(gone)

    async def _left(self, database: Database, store: ObjectStore) -> tuple[int, int, int]:
        async with database.sessions() as session:
            rows = await session.scalar(
                text("SELECT count(*) FROM datasets WHERE owner_id = CAST(:owner AS uuid)"), {"owner": self.owner_id}
            )
            marks = await session.scalar(
                text("SELECT count(*) FROM loose_objects WHERE key LIKE :prefix"), {"prefix": f"{self.owner_id}/%"}
            )
        found = await asyncio.to_thread(
            lambda: list(store._client.list_objects(store.bucket, f"{self.owner_id}/", recursive=True))
        )
        return int(rows or 0), len(found), int(marks or 0)


@asynccontextmanager
async def _behind(platform: PlatformForTests) -> AsyncIterator[tuple[Database, ObjectStore]]:
    environment = platform._launch("dataset")["environment"]
    settings = Settings(**{name.lower(): value for name, value in environment.items()})
    database = Database.from_settings(settings)
    try:
        yield database, ObjectStore(settings, "dataset")
    finally:
        await database.close()


@pytest.fixture
def person(platform: PlatformForTests, email: str) -> Iterator[Person]:
    """Somebody new."""
    with httpx.Client(base_url=platform.url, timeout=120) as http:
        http.post("/auth/register", json={"email": email, "password": PASSWORD, "display_name": "Ada"})
        signed_in = http.post("/auth/login", json={"email": email, "password": PASSWORD}).json()["data"]
        http.headers["authorization"] = f"Bearer {signed_in['access_token']}"
        yield Person(http, http.get("/auth/me").json()["data"]["user_id"], platform)


@pytest.mark.parametrize("file", _READ, ids=lambda file: file.name)
def test_read(person: Person, file: Accepted) -> None:
    """A file comes in by a form with its types, and its warnings in the answer."""
    answer = person.http.post("/upload/dataset", files={"file": (file.file_name, file.content())})
    assert answer.status_code == 200, answer.text
    dataset = answer.json()["data"]
    assert {column["name"]: column["type"] for column in dataset["columns"]} == file.types
    for warning in file.warnings:
        assert any(warning in told for told in dataset["warnings"])


@pytest.mark.parametrize("file", _WRONG, ids=lambda file: file.name)
def test_refused(person: Person, file: Refused) -> None:
    """A file that can't be read is 400, by its reason, and nothing of it is left."""
    answer = person.http.post("/upload/dataset", files={"file": ("table.csv", file.content())})
    assert person.refused(answer, 400)["code"] == file.reason


def test_declared_too_large(person: Person) -> None:
    """A length over the limit is 413 before a byte of the body is sent."""
    with _started(person, "text/csv", {"content-length": str(600 * 1024 * 1024)}) as connection:
        answer = connection.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert '"code":"FILE_TOO_LARGE"' in answer
    assert asyncio.run(person.left()) == (0, 0, 0)


@pytest.mark.parametrize("how", ["declared", "chunked", "form"])
def test_cut_off(person: Person, how: str) -> None:
    """An upload that breaks off leaves nothing, whether its length was declared, or it came in chunks, or as a form."""
    headers = {"content-length": "1000000"} if how == "declared" else {"transfer-encoding": "chunked"}
    kind = "multipart/form-data; boundary=b" if how == "form" else "text/csv"
    body = _FORM if how == "form" else b"a,b\n" + b"1,2\n" * 50_000
    with _started(person, kind, headers) as connection:
        connection.sendall(body if how == "declared" else b"%x\r\n%s\r\n" % (len(body), body))
        asyncio.run(_arriving(person))
    asyncio.run(person.nothing_left())


def test_a_form_without_its_end(person: Person) -> None:
    """A form that ends in good order but without its closing boundary is told to be cut off."""
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = person.http.post("/upload/dataset", content=_FORM, headers=headers)
    assert person.refused(answer, 400)["code"] == "UPLOAD_INCOMPLETE"


def test_a_model_of_everything(client: Client) -> None:
    """A table of dates beyond nanoseconds, nested values, huge numbers and odd names is learnt, and drawn from."""
    rows = [
        {
            "old": f"{1000 + row}-02-28",
            "new": f"{3000 + row}-01-01T23:59:59.999999",
            "huge": 2**64 + row % 7,
            "名前.a b": {"x": row % 5, "y": None if row % 3 else float(row)},
            "tags": [row % 2],
            "=1+1": "constant",
            "nothing": None,
            "share": "1e999" if row == 7 else row / 7,
        }
        for row in range(60)
    ]
    content = json.dumps(rows).replace('"1e999"', "1e999").encode()
    dataset = client.datasets.upload(content, name="everything")
    made = client.generate(dataset, model="gaussian_copula", rows=25, seed=3)
    drawn = made.table()
    assert drawn.column_names == [column.name for column in dataset.columns]
    assert drawn.num_rows == 25
    assert {row.year for row in drawn["old"].to_pylist()} <= set(range(1000, 1060))
    assert {row.year for row in drawn["new"].to_pylist()} <= set(range(3000, 3060))
    assert drawn["nothing"].null_count == 25
    assert {moment.year for moment in made.dataframe()["new"]} <= set(range(3000, 3060))


def _started(person: Person, content_type: str, headers: dict[str, str]) -> socket.socket:
    """A connection on which the head of an upload was sent."""
    address = urlsplit(person.platform.url)
    lines = {
        "host": "localhost",
        "authorization": person.http.headers["authorization"],
        "content-type": content_type,
        **headers,
    }
    head = "POST /upload/dataset?name=cut HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    connection = socket.create_connection((address.hostname or "", address.port or 80), timeout=30)
    connection.sendall(head.encode() + b"\r\n")
    return connection


async def _arriving(person: Person) -> None:
    """Returns once the service has begun to store what arrives."""
    async with _behind(person.platform) as (database, store):

        async def begun() -> bool:
            return (await person._left(database, store))[2] > 0

        await until(begun)
