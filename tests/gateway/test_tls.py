"""TLS at the gateway, and mutual TLS from it to the services behind it."""

import re
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from deploy.local.services import SERVICES
from gateway.settings import GatewaySettings
from mirage import AsyncClient, errors
from mirage.auth.v1 import account_pb2, account_pb2_grpc
from mirage.dataset.v1 import dataset_pb2
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.rpcs import GET_ME, KEY_SET, UPLOAD, WATCH
from tests.gateway.upstream import Behaviour, Upstream, running_upstream
from tests.support.certificates import Authority, Certificate
from tests.support.tokens import Tokens


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs for the gateway and the services."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    """The gateway's certificate."""
    return authority.issue("localhost", "127.0.0.1", name="gateway")


@pytest.fixture(scope="module")
def secure_upstream(key_set: Behaviour, authority: Authority) -> Iterator[Upstream]:
    """A service that asks for a certificate of the authority."""
    served = authority.issue("127.0.0.1", name="upstream")
    credentials = grpc.ssl_server_credentials(
        [(served.key.read_bytes(), served.file.read_bytes())], authority.file.read_bytes(), require_client_auth=True
    )
    with running_upstream(credentials) as upstream:
        upstream.reset({KEY_SET: key_set})
        upstream.on(GET_ME, lambda _request, _context: account_pb2.User(user_id="u1"))
        yield upstream


def internal_tls(authority: Authority, *hosts: str) -> dict[str, str]:
    """The gateway's settings for mutual TLS with the services."""
    return {name.lower(): value for name, value in authority.internal_tls(*hosts).items()}


@pytest.fixture(scope="module")
def secure_gateway(
    tmp_path_factory: pytest.TempPathFactory,
    secure_upstream: Upstream,
    settings_for: Callable[..., GatewaySettings],
    authority: Authority,
    certificate: Certificate,
    tokens: Tokens,
) -> Iterator[RunningEnvoy]:
    """A gateway that speaks TLS with everybody."""
    settings = settings_for(
        secure_upstream,
        tls_cert_file=certificate.file,
        tls_key_file=certificate.key,
        **internal_tls(authority, "gateway.example"),
    )
    with running_envoy(tmp_path_factory.mktemp("gateway"), settings) as envoy:
        with client_of(envoy, authority, tokens) as client:
            until(lambda: client.get("/auth/me").status_code == 200, "the gateway's start")
        yield envoy


def client_of(envoy: RunningEnvoy, authority: Authority, tokens: Tokens, **options: Any) -> httpx.Client:
    """A client with a user signed in, who trusts the authority and nobody else."""
    return httpx.Client(
        base_url=envoy.url,
        verify=ssl.create_default_context(cafile=authority.file),
        headers={"authorization": f"Bearer {tokens.user()}"},
        timeout=30,
        **options,
    )


@pytest.fixture
def client(secure_gateway: RunningEnvoy, authority: Authority, tokens: Tokens) -> Iterator[httpx.Client]:
    with client_of(secure_gateway, authority, tokens) as client:
        yield client


def test_rest(client: httpx.Client, secure_gateway: RunningEnvoy, authority: Authority, tokens: Tokens) -> None:
    """REST is served over TLS, by either version of HTTP, and browsers are told to stay with it."""
    answer = client.get("/auth/me")
    assert answer.json()["data"]["user_id"] == "u1"
    assert "max-age" in answer.headers["strict-transport-security"]
    assert "max-age" in client.get("/nowhere").headers["strict-transport-security"]
    assert client.get("/health").status_code == 200
    with client_of(secure_gateway, authority, tokens, http1=False, http2=True) as other:
        assert other.get("/auth/me").http_version == "HTTP/2"


def test_grpc_and_grpc_web(
    client: httpx.Client, secure_gateway: RunningEnvoy, authority: Authority, tokens: Tokens
) -> None:
    """Native gRPC finds HTTP/2 by ALPN; a browser's gRPC client is served as well."""
    credentials = grpc.ssl_channel_credentials(authority.file.read_bytes())
    with grpc.secure_channel(secure_gateway.target, credentials) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        metadata = (("authorization", f"Bearer {tokens.user()}"),)
        assert stub.GetMe(account_pb2.GetMeRequest(), metadata=metadata, timeout=30).user_id == "u1"
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    answer = client.post(GET_ME, content=struct.pack(">BI", 0, 0), headers=headers)
    (length,) = struct.unpack_from(">xI", answer.content)
    assert account_pb2.User.FromString(answer.content[5 : 5 + length]).user_id == "u1"


async def test_client_library(secure_gateway: RunningEnvoy, authority: Authority, tmp_path: Path) -> None:
    """The client library trusts a platform by the file of its authority, and says what is wrong without it."""
    stranger, address = Authority(tmp_path), ("ada@example.org", "correct horse battery")
    async with AsyncClient(secure_gateway.url, ca_file=authority.file) as trusting:
        with pytest.raises(errors.NotSupported):  # this upstream has no sessions: the call went through
            await trusting.login(*address)
    for url, ca_file, told in (
        (secure_gateway.url, None, "MIRAGE_CA_FILE"),
        (secure_gateway.url, stranger.file, "can't be trusted"),
        (secure_gateway.url.replace("https", "http"), None, "https://"),
    ):
        async with AsyncClient(url, ca_file=ca_file) as doubting:
            with pytest.raises(errors.ConnectionFailed) as failed:
                await doubting.login(*address)
        assert told in f"{failed.value} {failed.value.hint}"


def test_streams(client: httpx.Client, secure_upstream: Upstream) -> None:
    """Server-sent events and uploads pass through TLS on both sides of the gateway."""

    def upload(requests: Iterator[Any], _context: Any) -> dataset_pb2.Dataset:
        return dataset_pb2.Dataset(source_bytes=sum(len(request.body.data) for request in requests))

    secure_upstream.on(UPLOAD, upload)
    secure_upstream.on(WATCH, lambda _request, _context: (dataset_pb2.DatasetEvent(sequence=n) for n in (1, 2)))
    content = b"a,b\n" * 500_000
    sent = client.post("/datasets/upload", content=content, headers={"content-type": "text/csv"})
    assert sent.json()["data"]["source_bytes"] == len(content), sent.text
    events = client.get("/datasets/d1/watch")
    assert events.headers["content-type"] == "text/event-stream"
    assert re.findall(r'"sequence":"?(\d)', events.text) == ["1", "2"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")  # that is why it is tried
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(secure_gateway: RunningEnvoy, authority: Authority, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and newer are spoken; what is older isn't, nor is anything in the clear."""
    context = ssl.create_default_context(cafile=authority.file)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # ours would refuse by itself otherwise
    context.minimum_version = context.maximum_version = version
    with socket.create_connection((secure_gateway.host, secure_gateway.port), timeout=30) as connection:
        if version is ssl.TLSVersion.TLSv1_1:
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                context.wrap_socket(connection, server_hostname="localhost")
        else:
            with context.wrap_socket(connection, server_hostname="localhost") as secured:
                assert secured.version() == f"TLSv{version.name[-3:].replace('_', '.')}"


def test_services_by_name(
    tmp_path: Path, authority: Authority, key_set: Behaviour, settings_for: Callable[..., GatewaySettings]
) -> None:
    """A service whose address is a name is known by it, be it that its certificate holds for all names beside it."""
    certificate = authority.issue("*.localhost", name="by-name")
    chain = [(certificate.key.read_bytes(), certificate.file.read_bytes())]
    credentials = grpc.ssl_server_credentials(chain, authority.file.read_bytes(), require_client_auth=True)
    with running_upstream(credentials) as upstream:
        upstream.reset({KEY_SET: key_set})
        address = upstream.address.replace("127.0.0.1", "auth.localhost")
        addresses = dict.fromkeys((f"{service}_address" for service in SERVICES), address)
        settings = settings_for(upstream, **internal_tls(authority, "gateway.example"), **addresses)
        with running_envoy(tmp_path, settings) as envoy:
            until(lambda: httpx.get(f"{envoy.url}/health").status_code == 200, "the health checks")


def test_in_the_clear_is_refused(secure_gateway: RunningEnvoy) -> None:
    """Nobody is served in the clear at a gateway that speaks TLS."""
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{secure_gateway.target}/health")


def test_certificate_is_replaced(
    tmp_path: Path, shared_upstream: Upstream, settings_for: Callable[..., GatewaySettings], authority: Authority
) -> None:
    """A certificate that is moved into place is taken up without a restart; half of a pair changes nothing."""
    old = authority.issue("localhost", name="replaced")
    settings = settings_for(shared_upstream, tls_cert_file=old.file, tls_key_file=old.key)

    def served(envoy: RunningEnvoy) -> str:
        return ssl.get_server_certificate((envoy.host, envoy.port), timeout=30)

    with running_envoy(tmp_path, settings) as envoy:
        first = until(lambda: served(envoy), "the certificate")
        assert first.strip() == old.file.read_text().strip()
        new = authority.issue("localhost", name="new")
        renewed = new.file.read_text().strip()
        new.key.replace(old.key)
        until(lambda: statistic(envoy, "sds.gateway.key_rotation_failed"), "the pair's first half")
        assert served(envoy) == first
        new.file.replace(old.file)
        until(lambda: served(envoy).strip() == renewed, "the new certificate")


@pytest.mark.parametrize(
    ("wrong", "seen"), [("name", "auth.ssl.fail_verify_san"), ("authority", "auth.ssl.fail_verify_error"), ("none", "")]
)
def test_services_that_are_not_trusted(
    tmp_path: Path,
    secure_upstream: Upstream,
    settings_for: Callable[..., GatewaySettings],
    authority: Authority,
    wrong: str,
    seen: str,
) -> None:
    """No request goes to a service whose certificate names another host or isn't trusted, nor to one in the clear."""
    stranger = Authority(tmp_path / "stranger")
    given: dict[str, Any] = {
        "name": internal_tls(authority, "gateway.example"),
        "authority": internal_tls(stranger, "gateway.example"),
        "none": {},
    }[wrong]
    if wrong == "name":  # the certificate's is 127.0.0.1
        address = secure_upstream.address.replace("127.0.0.1", "localhost")
        given |= dict.fromkeys((f"{service}_address" for service in SERVICES), address)
    with running_envoy(tmp_path, settings_for(secure_upstream, **given)) as envoy:
        until(lambda: statistic(envoy, f"cluster.{seen or 'auth.health_check.failure'}"), "the health checks")
        assert httpx.get(f"{envoy.url}/health").status_code == 503
        assert httpx.post(f"{envoy.url}/auth/login", json={}).status_code == 503
        assert not statistic(envoy, "cluster.auth.health_check.success")


def statistic(envoy: RunningEnvoy, name: str) -> int:
    """One of Envoy's counters."""
    told = httpx.get(f"{envoy.admin}/stats", params={"filter": f"^{re.escape(name)}$"}).text
    return int(told.rpartition(" ")[2] or 0)
