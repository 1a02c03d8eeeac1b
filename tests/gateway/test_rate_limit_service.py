"""Several gateways that count together, by a service of Envoy's protocol and by the same file."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.rate_limits import DEFAULT_FILE, read_rate_limits
from gateway.render import RATE_LIMIT_SERVICE_CONFIG, write_configuration
from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, session_pb2
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import envoy_program, running_envoy, until
from tests.gateway.rate_limit_service import running_rate_limit_service
from tests.gateway.rpcs import GET_ME, LOGIN
from tests.gateway.test_errors import error_of
from tests.gateway.test_render import ADDRESSES
from tests.gateway.upstream import Upstream
from tests.support.tokens import Tokens

LIMITS = """
default: 1000/minute
classes:
  sign_in: {limit: 2/hour, rpcs: [mirage.auth.v1.SessionService/Login]}
  me: {limit: 4/minute, rpcs: [mirage.auth.v1.AccountService/GetMe]}
"""


@pytest.fixture(autouse=True)
def _account(upstream: Upstream) -> None:
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
    upstream.on(LOGIN, lambda _request, _context: session_pb2.TokenPair(token_type="Bearer"))


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    """A file of limits."""
    file = tmp_path / "limits.yaml"
    file.write_text(LIMITS)
    return file


def configuration_of(directory: Path, limits: Path) -> Any:
    """What envoyproxy/ratelimit is given for a file of limits."""
    write_configuration(directory, GatewaySettings(**ADDRESSES, rate_limits=str(limits)))
    return yaml.safe_load((directory / RATE_LIMIT_SERVICE_CONFIG).read_text())


def test_configuration_of_the_service(tmp_path: Path) -> None:
    """Each class of the file is a limit in the service's own form, for users and for addresses."""
    written = configuration_of(tmp_path, DEFAULT_FILE)
    limits = read_rate_limits(DEFAULT_FILE).limits
    assert set(written) == {"domain", "descriptors"}
    by_class = {each["value"]: each for each in written["descriptors"]}
    assert by_class.keys() == limits.keys()
    for name, limit in limits.items():
        assert by_class[name]["key"] == "class"
        [bucket] = by_class[name]["descriptors"]
        user, nobody = bucket["descriptors"]
        rate = {"unit": limit.unit, "requests_per_unit": limit.requests}
        assert (user["key"], user["rate_limit"]) == ("user", rate)
        assert nobody["descriptors"] == [{"key": "masked_remote_address", "rate_limit": rate}]


@pytest.mark.parametrize("address", ["ratelimit.mirage.svc:8081", "10.0.0.9:8081"])
def test_envoy_accepts_it(tmp_path: Path, address: str) -> None:
    """Envoy takes the configuration that asks the service, and warns of nothing in it."""
    path = write_configuration(tmp_path, GatewaySettings(**ADDRESSES, rate_limit_service_address=address))
    command = [envoy_program(), "--mode", "validate", "-c", str(path), "--log-level", "warning"]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr
    assert "deprecated" not in (judged.stderr + judged.stdout).lower()
    assert "local_ratelimit" not in path.read_text()


def test_gateways_count_together(
    tmp_path: Path, limits: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """What is spent at one gateway is spent at the other; answers and refusals look as they do on one machine."""
    with running_rate_limit_service(configuration_of(tmp_path / "service", limits)) as service:
        settings = settings_for(upstream, rate_limits=str(limits), rate_limit_service_address=service.address)
        with (
            running_envoy(_made(tmp_path, "one"), settings) as one,
            running_envoy(_made(tmp_path, "two"), settings) as two,
        ):
            for envoy in (one, two):
                wait_until_serving(envoy, tokens)
            ada, ben = ({"authorization": f"Bearer {tokens.user(name)}"} for name in ("ada", "ben"))
            first = httpx.get(f"{one.url}/api/v1/auth/me", headers=ada)
            told = [first.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
            assert told == ["4", "3", "30"]
            for url in (two.url, one.url, two.url):
                assert httpx.get(f"{url}/auth/me", headers=ada).status_code == 200
            refused = httpx.get(f"{one.url}/auth/me", headers=ada)
            assert refused.status_code == 429
            told = [refused.headers[name] for name in ("retry-after", "x-ratelimit-reset", "x-ratelimit-remaining")]
            assert told == ["30", "30", "0"]
            assert error_of(refused)["code"] == "RATE_LIMIT_EXCEEDED"
            assert "at most 4 requests in a minute" in error_of(refused)["message"]
            assert httpx.get(f"{two.url}/auth/me", headers=ben).status_code == 200
            assert [httpx.post(f"{url}/auth/login", json={}).status_code for url in (one.url, two.url, one.url)] == [
                200,
                200,
                429,
            ]
            entries = [("class", "sign_in"), ("bucket", "SessionService.Login"), ("signed_in", "no")]
            assert [*entries, ("masked_remote_address", "127.0.0.1/32")] in service.asked
            assert [("class", "me"), ("bucket", "AccountService.GetMe"), ("user", "ada")] in service.asked
            events = until(lambda: [e for e in one.access_log() if e["message"] == "rate_limit_exceeded"], "the event")
            assert events[0]["metadata"]["limit"] == "4"
            assert not one.script_errors() + two.script_errors()


def test_service_that_is_away(
    tmp_path: Path, limits: Path, upstream: Upstream, tokens: Tokens, settings_for: Callable[..., GatewaySettings]
) -> None:
    """While nobody counts, requests are let in."""
    settings = settings_for(upstream, rate_limits=str(limits), rate_limit_service_address="127.0.0.1:9")
    with running_envoy(tmp_path, settings) as envoy:
        wait_until_serving(envoy, tokens)
        headers = {"authorization": f"Bearer {tokens.user()}"}
        assert [httpx.get(f"{envoy.url}/auth/me", headers=headers).status_code for _ in range(6)] == [200] * 6


def _made(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir()
    return path
