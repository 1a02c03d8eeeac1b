"""How the platform is, as an administrator is told over REST, by the client and by the command line."""

from uuid import uuid4

import httpx
import pytest

from deploy.local.services import SERVICES
from mirage import Client
from mirage.errors import PermissionDenied
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

_BENEATH = {
    "activity": ["database"],
    "auth": ["database"],
    "dataset": ["database", "object store", "queue"],
    "generation": ["database", "object store", "queue", "workers"],
    "optimizer": ["database", "queue"],
}


def test_part_by_part(platform: PlatformForTests) -> None:
    """An administrator is told each service and what it stands on; other users aren't."""
    email = f"{uuid4().hex}@example.org"
    password = platform.make_administrator(email)
    answer = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": password})
    token = answer.json()["data"]["access_token"]
    told = httpx.get(f"{platform.url}/health/detailed", headers={"authorization": f"Bearer {token}"})
    assert (told.status_code, told.json()["success"]) == (200, True)
    services = told.json()["data"]["services"]
    assert {each["name"]: [part["name"] for part in each["parts"]] for each in services} == _BENEATH
    assert set(_BENEATH) == set(SERVICES)
    assert all(part["since_time"] for each in services for part in each["parts"])
    with Client(platform.url).login(email, password) as client:
        found = client.admin.health()
        assert found.state == "up"
        generation = next(each for each in found.services if each.name == "generation")
        assert generation.parts[-1].figures == {"connected": 1}
        assert generation.version
    with Client(platform.url) as client:
        client.register(f"{uuid4().hex}@example.org", PASSWORD, "Ada")
        with pytest.raises(PermissionDenied):
            client.admin.health()
    assert httpx.get(f"{platform.url}/health/detailed").status_code == 401
