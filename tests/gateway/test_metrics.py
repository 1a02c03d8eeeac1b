"""Envoy's metrics: on a port of their own, and nothing else of its administration there."""

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_port
from gateway.settings import GatewaySettings
from tests.gateway.envoy import running_envoy
from tests.gateway.upstream import Upstream
from tests.support.certificates import Authority


def test_requests_are_counted(tmp_path: Path, upstream: Upstream, settings_for: Callable[..., GatewaySettings]) -> None:
    """What goes through the gateway shows in its metrics, by the class of its status."""
    port = free_port()
    settings = settings_for(upstream, metrics_port=port, gateway_admin_port=free_port())
    with running_envoy(tmp_path, settings, admin_port=settings.gateway_admin_port) as envoy:
        assert httpx.get(f"{envoy.url}/nothing").status_code == 404
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
        line = 'envoy_http_downstream_rq_xx{envoy_response_code_class="4",envoy_http_conn_manager_prefix="gateway"} 1'
        assert line in told
        for path in ("/", "/config_dump", "/metrics/../config_dump", "/metricsx"):
            assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code in (400, 404)
        assert httpx.post(f"http://127.0.0.1:{port}/metrics").status_code == 404
        assert httpx.get(f"{envoy.url}/metrics").status_code == 404


def test_mutual_tls(tmp_path: Path, upstream: Upstream, settings_for: Callable[..., GatewaySettings]) -> None:
    """Where processes speak by mutual TLS, only who has a certificate of their authority reads metrics here."""
    authority = Authority(tmp_path)
    internal = {name.lower(): value for name, value in authority.internal_tls("127.0.0.1").items()}
    port = free_port()
    settings = settings_for(upstream, metrics_port=port, gateway_admin_port=free_port(), **internal)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    with running_envoy(tmp_path, settings, admin_port=settings.gateway_admin_port):
        with httpx.Client(verify=trusting) as client, pytest.raises(httpx.TransportError):
            client.get(f"https://127.0.0.1:{port}/metrics")
        trusting.load_cert_chain(internal["internal_tls_cert_file"], internal["internal_tls_key_file"])
        with httpx.Client(verify=trusting) as client:
            assert "envoy_server_live" in client.get(f"https://127.0.0.1:{port}/metrics").raise_for_status().text


def test_switched_off(tmp_path: Path, upstream: Upstream, settings_for: Callable[..., GatewaySettings]) -> None:
    """With METRICS_ENABLED=false nothing listens there."""
    port = free_port()
    settings = settings_for(upstream, metrics_port=port, gateway_admin_port=free_port(), metrics_enabled=False)
    with running_envoy(tmp_path, settings, admin_port=settings.gateway_admin_port), pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_port_without_administration(upstream: Upstream, settings_for: Callable[..., GatewaySettings]) -> None:
    """A port for metrics without one for the administration, from which they come, is refused."""
    with pytest.raises(ValueError, match="GATEWAY_ADMIN_PORT"):
        settings_for(upstream, metrics_port=9_090)
