"""One Envoy and one upstream for all tests of a process; each test sets anew what the upstream does."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from google.api import httpbody_pb2

from deploy.local.services import SERVICES
from gateway.settings import GatewaySettings
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.rpcs import KEY_SET
from tests.gateway.upstream import Behaviour, Upstream, running_upstream
from tests.support.tokens import Tokens


@pytest.fixture(scope="session")
def key_set(tokens: Tokens) -> Behaviour:
    """What auth does when it is asked for the public keys."""
    public_key = asyncio.run(tokens.key(tokens.key_id))
    key = jwt.algorithms.ECAlgorithm.to_jwk(public_key, as_dict=True)
    document = {"keys": [{**key, "kid": tokens.key_id, "alg": "ES256", "use": "sig"}]}

    def behave(_request: Any, context: Any) -> httpbody_pb2.HttpBody:
        context.send_initial_metadata((("x-raw-body", "1"),))
        return httpbody_pb2.HttpBody(content_type="application/jwk-set+json", data=json.dumps(document).encode())

    return behave


@pytest.fixture(scope="session")
def shared_upstream(key_set: Behaviour) -> Iterator[Upstream]:
    with running_upstream() as upstream:
        upstream.reset({KEY_SET: key_set})
        yield upstream


@pytest.fixture
def upstream(shared_upstream: Upstream, key_set: Behaviour) -> Upstream:
    """What the services do and saw; only the signing keys are served until a test says more."""
    shared_upstream.reset({KEY_SET: key_set})
    return shared_upstream


@pytest.fixture(scope="session")
def settings_for() -> Callable[..., GatewaySettings]:
    """Settings with one upstream for all services and no limits on how often they are asked; a test may name others."""

    def make(upstream: Upstream, **others: Any) -> GatewaySettings:
        addresses = dict.fromkeys((f"{service}_address" for service in SERVICES), upstream.address)
        usual = {"max_request_size_mb": 2, "max_file_size_mb": 8, "rate_limits": "off"}
        return GatewaySettings(**{**usual, **addresses, **others})

    return make


@pytest.fixture(scope="session")
def shared_gateway(
    shared_upstream: Upstream,
    settings_for: Callable[..., GatewaySettings],
    tokens: Tokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningEnvoy]:
    with running_envoy(tmp_path_factory.mktemp("gateway"), settings_for(shared_upstream)) as envoy:
        wait_until_serving(envoy, tokens)
        yield envoy


@pytest.fixture
def gateway(shared_gateway: RunningEnvoy, upstream: Upstream) -> Iterator[RunningEnvoy]:
    """The gateway, in front of this test's upstream. No test may make its scripts fail."""
    yield shared_gateway
    assert not shared_gateway.script_errors()


@pytest.fixture
def client(gateway: RunningEnvoy) -> Iterator[httpx.Client]:
    """A client with nobody signed in."""
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        yield client


@pytest.fixture
def signed_in(client: httpx.Client, tokens: Tokens) -> httpx.Client:
    """A client with a user signed in."""
    client.headers["authorization"] = f"Bearer {tokens.user()}"
    return client


def wait_until_serving(envoy: RunningEnvoy, tokens: Tokens) -> None:
    """Waits until every upstream is healthy and tokens can be checked."""
    headers = {"authorization": f"Bearer {tokens.user()}"}

    def serves() -> bool:
        healthy = httpx.get(f"{envoy.url}/health").status_code == 200
        return healthy and httpx.get(f"{envoy.url}/auth/me", headers=headers).status_code != 503

    until(serves, "the gateway's start")
