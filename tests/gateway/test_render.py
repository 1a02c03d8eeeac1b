"""The configuration that is written, judged by Envoy itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import gateway.render
from gateway.contracts import Binding, read_descriptor_set, routed_rpcs
from gateway.render import write_configuration
from gateway.settings import GatewaySettings
from mirage.options.v1 import access_pb2
from tests.gateway.envoy import envoy_program

ADDRESSES: dict[str, Any] = {
    "auth_address": "127.0.0.1:1",
    "dataset_address": "dataset.mirage.svc:2",
    "generation_address": "[::1]:3",
    "optimizer_address": "optimizer:4",
    "activity_address": "activity:5",
}


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"cors_origins": "*", "allowed_hosts": "*"},
        {"cors_origins": "", "allowed_hosts": ("api.example.org", "*.internal.example.org", "[::1]")},
        {"gateway_host": "0.0.0.0", "trusted_proxies": 2, "max_file_size_mb": 100_000},  # noqa: S104
        {
            "otel_exporter_otlp_endpoint": "https://collector.example.org",
            "otel_exporter_otlp_headers": "a=%22%7B,b=x y",
        },
        {"otel_exporter_otlp_endpoint": "https://[::1]:4317", "otel_traces_sampler": "always_off"},
        {"token_issuer": 'quotes " and {{ braces }}', "token_audience": "a: b # c\n- d"},
    ],
)
def test_envoy_accepts_it(tmp_path: Path, others: dict[str, Any]) -> None:
    """Whatever the settings, Envoy takes the configuration, and none of their values changes its structure."""
    path = write_configuration(tmp_path, GatewaySettings(**{**ADDRESSES, **others}))
    command = [envoy_program(), "--mode", "validate", "-c", str(path), "--log-level", "error"]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr
    assert set(yaml.safe_load(path.read_text())) == {
        "admin", "application_log_config", "bootstrap_extensions", "node", "overload_manager", "static_resources",
    }  # fmt: skip


def test_nothing_is_about_to_go(tmp_path: Path) -> None:
    """Envoy warns of nothing that its next version will refuse."""
    path = write_configuration(tmp_path, GatewaySettings(**ADDRESSES))
    command = [envoy_program(), "--mode", "validate", "-c", str(path), "--log-level", "warning"]
    judged = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Deprecated field" not in judged.stderr + judged.stdout


def test_everything_is_in_the_directory(tmp_path: Path) -> None:
    """The directory holds every file that the configuration names, so that it can be mounted or copied as a whole."""
    path = write_configuration(tmp_path, GatewaySettings(**ADDRESSES))
    names = set(_values(yaml.safe_load(path.read_text()), {"filename", "proto_descriptor"}))
    assert len(names) > 8
    assert all(Path(name).is_relative_to(tmp_path) and Path(name).is_file() for name in names)


def _values(node: Any, keys: set[str]) -> list[str]:
    if isinstance(node, dict):
        own = [value for key, value in node.items() if key in keys and isinstance(value, str)]
        return own + [value for child in node.values() for value in _values(child, keys)]
    if isinstance(node, list):
        return [value for child in node for value in _values(child, keys)]
    return []


def test_every_public_rpc_has_a_route(tmp_path: Path) -> None:
    """Each RPC of a service with HTTP routes has its route, and no other RPC has one."""
    path = write_configuration(tmp_path, GatewaySettings(**ADDRESSES))
    routes = set(_values(yaml.safe_load(path.read_text()), {"path"}))
    expected = {rpc.path for rpc in routed_rpcs(read_descriptor_set())}
    assert len(expected) > 40
    assert {route for route in routes if route.startswith("/mirage.")} == expected
    assert not [path for path in expected if "ServiceIdentity" in path or "Source" in path or "Dependent" in path]


def test_service_without_an_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Contracts that route to a service nobody named an address of are refused, not served by chance."""
    files = read_descriptor_set()
    for file in files.file:
        file.package = file.package.replace("mirage.generation", "mirage.novelty")
    monkeypatch.setattr(gateway.render, "read_descriptor_set", lambda: files)
    with pytest.raises(ValueError, match="novelty"):
        write_configuration(tmp_path, GatewaySettings(**ADDRESSES))


def test_rpc_without_a_role() -> None:
    """An RPC whose contract doesn't say who may call it gets no route by accident."""
    files = read_descriptor_set()
    service = next(file.service[0] for file in files.file if file.package == "mirage.auth.v1" and file.service)
    for method in service.method:
        method.options.ClearExtension(access_pb2.access)
    with pytest.raises(ValueError, match="names no role"):
        routed_rpcs(files)


def test_patterns_of_paths() -> None:
    """A template becomes a pattern of its own segments only; what isn't understood is refused."""
    assert Binding("GET", "/a.b/{x_id}/c", "").pattern == r"/a\.b/[^/]+/c"
    with pytest.raises(ValueError, match="variables"):
        _ = Binding("GET", "/a/{x=**}", "").pattern


def test_command(tmp_path: Path) -> None:
    """`python -m gateway.render` writes by the environment, and says which setting is wrong."""
    environment = {name.upper(): value for name, value in ADDRESSES.items()}
    command = [sys.executable, "-m", "gateway.render", "--directory", str(tmp_path)]
    inherited = {"PATH": os.environ["PATH"]}
    written = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True)
    assert written.stdout.strip() == str(tmp_path / "envoy.yaml")
    refused = subprocess.run(
        command, env=inherited | environment | {"MIRAGE_PORT": "no"}, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "MIRAGE_PORT" in refused.stderr


def test_judging_a_table_may_take_as_long_as_a_job(tmp_path: Path) -> None:
    """A request that is answered when a table was judged may outlast the service's own limit for that; no other may."""
    path = write_configuration(tmp_path, GatewaySettings(**ADDRESSES, request_timeout_seconds=500))
    [listener] = [
        each for each in yaml.safe_load(path.read_text())["static_resources"]["listeners"] if "address" in each
    ]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    [host] = [each for each in manager["route_config"]["virtual_hosts"] if each["name"] == "allowed"]
    routes = {each["name"]: each["route"] for each in host["routes"] if "route" in each}
    assert routes["QualityService.EvaluateTable"]["timeout"] == "560s"
    assert routes["QualityService.EvaluateTable"]["idle_timeout"] == "560s"
    assert routes["QualityService.GetQuality"]["timeout"] == "60s"
