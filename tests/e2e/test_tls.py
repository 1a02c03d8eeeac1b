"""The whole platform by TLS: everybody outside to the gateway, and its processes among each other."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import pandas as pd
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mirage import Client
from mirage.cli import exit_codes
from servicekit.tls import InternalTls
from tests.e2e.conftest import PASSWORD
from tests.e2e.test_command_line import Shell
from tests.support.certificates import Authority
from tests.support.platform import PlatformForTests, platform_for_tests

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the gateway's certificate."""
    return Authority(tmp_path_factory.mktemp("outer"))


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs for the platform's processes."""
    return Authority(tmp_path_factory.mktemp("inner"))


@pytest.fixture(scope="module")
def secure_platform(
    tmp_path_factory: pytest.TempPathFactory, outer: Authority, inner: Authority
) -> Iterator[PlatformForTests]:
    """A whole platform with certificates."""
    gateway = outer.issue("127.0.0.1", "localhost")
    settings = {"TLS_CERT_FILE": str(gateway.file), "TLS_KEY_FILE": str(gateway.key)}
    home = tmp_path_factory.mktemp("platform")
    with platform_for_tests(home, **settings, **inner.internal_tls("127.0.0.1")) as running:
        yield running


def test_a_job_by_https(secure_platform: PlatformForTests, outer: Authority, email: str) -> None:
    """A table is uploaded, learnt from and downloaded through TLS from end to end, over gRPC and over REST."""
    assert secure_platform.url.startswith("https://")
    table = pd.DataFrame({"a": range(40), "b": list("wxyz") * 10})
    with Client(secure_platform.url, ca_file=outer.file) as client:
        client.register(email, PASSWORD, "Ada")
        job = client.generate(client.datasets.upload(table), model="gaussian_copula", rows=5)
        assert len(job.table()) == 5
    trusted = ssl.create_default_context(cafile=outer.file)
    with httpx.Client(base_url=secure_platform.url, verify=trusted, timeout=60) as rest:
        signed_in = rest.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD}).json()["data"]
        rest.headers["authorization"] = f"Bearer {signed_in['access_token']}"
        assert rest.get(f"/generation/status/{job.id}").json()["data"]["state"] == "JOB_STATE_SUCCEEDED"
        events = rest.get(f"/generation/watch/{job.id}")
    assert events.headers["content-type"] == "text/event-stream"
    assert "JOB_STATE_SUCCEEDED" in events.text


def test_command_line(secure_platform: PlatformForTests, outer: Authority, email: str, tmp_path: Path) -> None:
    """The command line trusts the platform by MIRAGE_CA_FILE, or an option, and says so where it doesn't."""
    shell = Shell(secure_platform.url, tmp_path)
    sign_up = ("register", email, "--password-stdin")
    refused = shell.run(*sign_up, standard_input=f"{PASSWORD}\n", code=exit_codes.UNAVAILABLE)
    assert "can't be trusted" in refused
    shell.run("--ca-file", str(outer.file), *sign_up, standard_input=f"{PASSWORD}\n")
    shell.environment["MIRAGE_CA_FILE"] = str(outer.file)
    assert email in shell.run("whoami")


@pytest.mark.parametrize("service", ["activity", "auth", "dataset", "generation", "optimizer"])
def test_services_let_in_their_own_only(
    secure_platform: PlatformForTests, outer: Authority, inner: Authority, service: str
) -> None:
    """At a service's own port nobody is heard in the clear, nor with a certificate of another authority."""
    address = secure_platform.service_address(service)
    own, foreign = inner.issue("127.0.0.1", name="own"), outer.issue("127.0.0.1", name="foreign")
    channels: dict[str, Callable[[], grpc.Channel]] = {
        "in the clear": lambda: grpc.insecure_channel(address),
        "without a certificate": lambda: grpc.secure_channel(
            address, grpc.ssl_channel_credentials(inner.file.read_bytes())
        ),
        "with a foreign one": lambda: grpc.secure_channel(
            address, InternalTls(foreign.file, foreign.key, inner.file).channel_credentials()
        ),
    }
    for how, channel in channels.items():
        with pytest.raises(grpc.RpcError) as refused:
            _answer(channel())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE, how
    credentials = InternalTls(own.file, own.key, inner.file).channel_credentials()
    assert _answer(grpc.secure_channel(address, credentials)) == health_pb2.HealthCheckResponse.SERVING


def _answer(channel: grpc.Channel) -> int:
    with channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    return int(answer.status)
