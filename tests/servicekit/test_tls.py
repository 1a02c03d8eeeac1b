"""Mutual TLS between processes: who is let in, who is called, and what is told of wrong files."""

import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives import serialization
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from servicekit.clients import open_channel
from servicekit.server import Application, running
from servicekit.settings import InternalTlsSettings, ServiceSettings, load
from servicekit.tls import InternalTls
from tests.support.certificates import Authority
from tests.support.servers import NO_DATABASE
from tests.support.tokens import Tokens

LAST_YEAR = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=365)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs for the platform's processes."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs for somebody else."""
    return Authority(tmp_path_factory.mktemp("stranger"))


def tls_of(authority: Authority, *hosts: str, trusted: Path | None = None) -> InternalTls:
    """What a process on these hosts proves itself by; it trusts its own authority unless another is named."""
    certificate = authority.issue(*hosts)
    return InternalTls(certificate.file, certificate.key, trusted or authority.file)


@asynccontextmanager
async def serving(tokens: Tokens, tls: InternalTls | None, **others: Any) -> AsyncIterator[str]:
    """Serves the standard health protocol, by mutual TLS unless that is None; yields the address."""

    @asynccontextmanager
    async def application() -> AsyncIterator[Application]:
        yield Application((), lambda _server: None, tokens.verifier)

    settings = ServiceSettings(
        database_url=NO_DATABASE,
        shutdown_grace_seconds=0,
        internal_tls_cert_file=tls and tls.certificate,
        internal_tls_key_file=tls and tls.key,
        internal_tls_ca_file=tls and tls.trusted,
        **others,
    )
    async with running(settings, application()) as address:
        yield address


async def answer(channel: grpc.aio.Channel) -> int:
    """The server's health; it needs no token."""
    async with channel:
        checked = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    return int(checked.status)


async def test_mutual_tls(tokens: Tokens, authority: Authority) -> None:
    """Two processes with certificates of one authority speak with each other."""
    tls = tls_of(authority, "127.0.0.1")
    async with serving(tokens, tls) as address:
        assert await answer(open_channel(address, tls)) == health_pb2.HealthCheckResponse.SERVING


async def test_refused_clients(tokens: Tokens, authority: Authority, stranger: Authority) -> None:
    """Nobody is let in in the clear, without a certificate, or with one of somebody else's authority."""
    foreign = tls_of(stranger, "127.0.0.1", trusted=authority.file)
    refused: dict[str, Callable[[str], grpc.aio.Channel]] = {
        "in the clear": lambda address: open_channel(address, None),
        "without a certificate": lambda address: grpc.aio.secure_channel(
            address, grpc.ssl_channel_credentials(authority.file.read_bytes())
        ),
        "with a foreign one": lambda address: open_channel(address, foreign),
    }
    async with serving(tokens, tls_of(authority, "127.0.0.1")) as address:
        for how, channel in refused.items():
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await answer(channel(address))
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE, how


@pytest.mark.parametrize("wrong", ["name", "authority"])
async def test_refused_servers(tokens: Tokens, authority: Authority, stranger: Authority, wrong: str) -> None:
    """No call reaches a server whose certificate names another host, or is of somebody else's authority."""
    caller = tls_of(authority, "127.0.0.1")
    server = tls_of(authority, "elsewhere.example") if wrong == "name" else tls_of(stranger, "127.0.0.1")
    async with serving(tokens, server) as address:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await answer(open_channel(address, caller))
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


def told(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a process says that doesn't start with these settings."""
    for name in InternalTlsSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(InternalTlsSettings)
    return capsys.readouterr().err


def test_files_are_checked_at_the_start(
    tmp_path: Path,
    authority: Authority,
    stranger: Authority,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A process with files that wouldn't do doesn't start, and says which it is and what is wrong with it."""
    good = authority.internal_tls("127.0.0.1")
    other = stranger.issue("127.0.0.1")
    expired = authority.issue("old", not_before=LAST_YEAR, not_after=LAST_YEAR + datetime.timedelta(days=1))
    key = serialization.load_pem_private_key(Path(good["INTERNAL_TLS_KEY_FILE"]).read_bytes(), None)
    protected, junk, nothing = tmp_path / "protected.key", tmp_path / "junk", tmp_path / "nothing"
    junk.write_text("neither a certificate nor a key")
    protected.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    certificate_file, key_file, ca_file = good
    cases: dict[str, dict[str, Path | str]] = {
        "INTERNAL_TLS_CERT_FILE: there is no file": {certificate_file: nothing},
        "INTERNAL_TLS_CERT_FILE: ": {certificate_file: junk},
        f"{junk} holds no certificate": {ca_file: junk},
        f"{junk} holds no private key": {key_file: junk},
        f"{protected} is protected by a passphrase": {key_file: protected},
        f"{other.key} is not the key of": {key_file: other.key},
        f"doesn't hold against {stranger.file}": {ca_file: stranger.file},
        "certificate has expired": {certificate_file: expired.file, key_file: expired.key},
        "INTERNAL_TLS_CA_FILE: there is no file": {ca_file: nothing, key_file: nothing},
        "INTERNAL_TLS_KEY_FILE: there is no file": {ca_file: nothing, key_file: nothing},
        "not set: INTERNAL_TLS_CA_FILE": {ca_file: ""},
    }
    for fault, changed in cases.items():
        settings = good | {name: str(value) for name, value in changed.items()}
        assert fault in told(settings, monkeypatch, capsys)


def test_in_the_clear_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the settings there is no TLS between processes."""
    for name in InternalTlsSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    assert InternalTlsSettings().internal_tls is None


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104 - what it is about
async def test_in_the_clear_in_production(tokens: Tokens, host: str, told: bool) -> None:
    """A service that is reached in the clear from other machines says so in production, and serves: a mesh may be."""
    with capture_logs() as logs:
        async with serving(tokens, None, environment="production", grpc_host=host) as address:
            assert await answer(open_channel(address, None)) == health_pb2.HealthCheckResponse.SERVING
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["internal_tls_off"] * told
