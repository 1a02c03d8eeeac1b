"""The gateway's settings: where they come from and what is refused."""

import datetime
from pathlib import Path
from typing import Any

import pydantic
import pytest

from gateway.settings import GatewaySettings
from tests.support.certificates import Authority

ADDRESSES = {
    "AUTH_ADDRESS": "auth:1",
    "DATASET_ADDRESS": "10.0.0.2:2",
    "GENERATION_ADDRESS": "[::1]:3",
    "OPTIMIZER_ADDRESS": "optimizer:4",
    "ACTIVITY_ADDRESS": "activity:5",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are those of the environment, and lists are separated by commas."""
    monkeypatch.setenv("MIRAGE_PORT", "80")
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example:8443")
    monkeypatch.setenv("ALLOWED_HOSTS", "Api.example.org,*.internal,")
    settings = GatewaySettings()
    assert settings.mirage_port == 80
    assert settings.cors_origins == ("https://a.example", "https://b.example:8443")
    assert settings.allowed_hosts == ("api.example.org", "*.internal")
    assert settings.upstreams == {
        "auth": ("auth", 1),
        "dataset": ("10.0.0.2", 2),
        "generation": ("::1", 3),
        "optimizer": ("optimizer", 4),
        "activity": ("activity", 5),
    }


def test_given_values_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller names counts for more than the environment."""
    monkeypatch.setenv("MIRAGE_PORT", "80")
    assert GatewaySettings(mirage_port=81).mirage_port == 81


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auth_address", "nowhere"),
        ("auth_address", "host:0"),
        ("auth_address", "host:70000"),
        ("auth_address", 'host":1'),
        ("mirage_port", "65536"),
        ("cors_origins", "localhost:3000"),
        ("cors_origins", "http://a.example/path"),
        ("allowed_hosts", "a.example:80"),
        ("allowed_hosts", "http://a.example"),
        ("allowed_hosts", ","),
        ("max_request_size_mb", "0"),
        ("environment", "somewhere"),
    ],
)
def test_wrong_values(name: str, value: str) -> None:
    """A value that can't be right is refused by its name."""
    given: dict[str, Any] = {name: value}
    with pytest.raises(pydantic.ValidationError) as refused:
        GatewaySettings(**given)
    assert refused.value.errors()[0]["loc"] == (name,)


def test_wrong_certificates(tmp_path: Path) -> None:
    """TLS needs a certificate and its key; what is wrong with the files is told by their names."""
    authority = Authority(tmp_path)
    one, other = authority.issue("localhost"), authority.issue("elsewhere.example")
    ended = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    expired = authority.issue("old", not_before=ended - datetime.timedelta(days=1), not_after=ended)
    cases: dict[str, dict[str, Any]] = {
        "TLS_KEY_FILE go together": {"tls_cert_file": one.file},
        "there is no file": {"tls_cert_file": tmp_path / "nothing", "tls_key_file": one.key},
        f"{other.key} is not the key of {one.file}": {"tls_cert_file": one.file, "tls_key_file": other.key},
        f"{one.file} holds no private key": {"tls_cert_file": one.file, "tls_key_file": one.file},
        f"{one.key} holds no certificate": {"tls_cert_file": one.key, "tls_key_file": one.key},
        f"{expired.file} doesn't hold: certificate has expired": {
            "tls_cert_file": expired.file,
            "tls_key_file": expired.key,
        },
    }
    for fault, given in cases.items():
        with pytest.raises(pydantic.ValidationError) as refused:
            GatewaySettings(**given)
        assert fault in str(refused.value)
    assert GatewaySettings(tls_cert_file=one.file, tls_key_file=one.key).tls_cert_file == one.file


def test_in_the_clear_in_production(tmp_path: Path) -> None:
    """A gateway without a certificate is told of in production, and not refused: TLS may end in front of it."""
    certificate = Authority(tmp_path).issue("localhost")
    files: dict[str, Any] = {"tls_cert_file": certificate.file, "tls_key_file": certificate.key}
    assert "TLS_CERT_FILE" in GatewaySettings(environment="production").doubts[0]
    assert not GatewaySettings(environment="production", **files).doubts
    assert not GatewaySettings().doubts


def test_every_origin_in_production() -> None:
    """What is handy in development doesn't start in production."""
    with pytest.raises(pydantic.ValidationError, match="CORS_ORIGINS"):
        GatewaySettings(environment="production", cors_origins="*")
    assert GatewaySettings(cors_origins="*").cors_origins == ("*",)
