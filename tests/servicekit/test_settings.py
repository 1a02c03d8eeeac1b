"""Settings: all that is wrong is told at once, with the name and an example, and secrets are never repeated."""

import pytest

from servicekit.settings import PeerSettings, ServiceSettings, load


class _Settings(ServiceSettings, PeerSettings):
    pass


def test_every_fault_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong environment stops the process, naming each setting, its fault and an example."""
    for name in ("SERVICE_CLIENT_ID", "AUTH_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "mysql://root:hunter2@localhost")
    monkeypatch.setenv("GRPC_PORT", "70000")
    monkeypatch.setenv("SERVICE_CLIENT_SECRET", "hunter3")
    with pytest.raises(SystemExit) as stopped:
        load(_Settings)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    for name in ("DATABASE_URL", "GRPC_PORT", "SERVICE_CLIENT_ID", "AUTH_ADDRESS", "SERVICE_CLIENT_SECRET"):
        assert f"  {name}: " in said
    assert "AUTH_ADDRESS: is not set. Example: AUTH_ADDRESS=localhost:50051" in said
    assert "hunter" not in said


def test_debug_is_refused_in_production(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Production refuses what is only safe elsewhere."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://a:b@localhost/c")
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("DEBUG", "true")
    with pytest.raises(SystemExit):
        load(ServiceSettings)
    assert "DEBUG" in capsys.readouterr().err
