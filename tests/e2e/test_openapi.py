"""Every route of the published document, tried by schemathesis: no fault of ours, and no answer but the documented."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mirage import Client
from tests.e2e.conftest import PASSWORD, Furnished, end_what_runs
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

DOCUMENT = json.loads((Path(__file__).resolve().parents[2] / "gateway" / "openapi.json").read_text())
OPERATIONS = [(verb.upper(), path) for path, verbs in DOCUMENT["paths"].items() for verb in verbs]
FEW, MANY = 4, 30  # requests for each route
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_TIMEOUT_SECONDS = 120
# Streams that don't end, with seconds after which nothing more is waited for.
_ENDLESS = {"/notifications/watch": 1}


@dataclass
class Target:
    """A running platform with somebody's things on it, and those who may call."""

    schema: schemathesis.BaseSchema
    ids: dict[str, str]  # things that are there, by the name of what names them
    sign_in: dict[str, Callable[[], str]]  # gives a fresh access token, by role
    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, who: str, *, fresh: bool = False) -> dict[str, str]:
        """What somebody's requests carry."""
        if who == "nobody":
            return {}
        if fresh or who not in self.tokens:
            self.tokens[who] = self.sign_in[who]()
        return {"authorization": f"Bearer {self.tokens[who]}"}


@pytest.fixture(scope="module")
def target(platform: PlatformForTests, furnished: Furnished) -> Iterator[Target]:
    """The document as it is served, a user with one of everything, and an administrator."""
    administrator = f"{uuid4().hex}@example.org"
    secret = platform.make_administrator(administrator)

    def login(email: str, password: str) -> str:
        answer = httpx.post(f"{platform.url}/auth/login", json={"email": email, "password": password})
        token: str = answer.json()["data"]["access_token"]
        return token

    with Client(platform.url) as client:
        another = client.register(f"{uuid4().hex}@example.org", PASSWORD, "Eve").id
        client.login(furnished.email, PASSWORD)
        yield Target(
            schema=schemathesis.openapi.from_url(f"{platform.url}/openapi.json"),
            ids={**furnished.ids, "table_dataset_id": furnished.ids["dataset_id"], "user_id": another},
            sign_in={
                "user": lambda: login(furnished.email, PASSWORD),
                "administrator": lambda: login(administrator, secret),
            },
        )
        client.login(furnished.email, PASSWORD)  # requests may have ended the session
        end_what_runs(client)
    assert httpx.get(f"{platform.url}/health").status_code == 200


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_any_request(target: Target, method: str, path: str) -> None:
    """Right and wrong requests by nobody, a user and an administrator are answered as the document says."""
    _try(target, method, path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_many_requests(target: Target, method: str, path: str) -> None:
    """The same with many more requests."""
    _try(target, method, path, MANY)


def _try(target: Target, method: str, path: str, examples: int) -> None:
    operation = target.schema[path][method]
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong, who=st.sampled_from(["user", "nobody", "administrator"]), real=st.booleans())
    def run(case: Any, who: str, real: bool) -> None:
        if real and method != "DELETE":
            _name_real_things(case, target.ids)
        try:
            answer = case.call(headers=target.headers(who), timeout=_ENDLESS.get(path, _TIMEOUT_SECONDS))
            if answer.status_code == 401 and who != "nobody":  # a request before may have ended the session
                answer = case.call(headers=target.headers(who, fresh=True), timeout=_TIMEOUT_SECONDS)
        except Exception as error:
            if path in _ENDLESS and "timed out" in str(error).lower():
                return  # it goes on
            raise
        case.validate_response(answer, checks=CHECKS)

    run()


def _name_real_things(case: Any, ids: dict[str, str]) -> None:
    """Puts ids of what is there where a request names something."""
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: ids[name] for name in ids if name in place})
