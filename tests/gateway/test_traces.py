"""The begin of each trace: named by the gateway, recorded as the settings say, whatever a caller would like."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2
from tests.gateway.conftest import wait_until_serving
from tests.gateway.envoy import RunningEnvoy, running_envoy, until
from tests.gateway.rpcs import GET_ME
from tests.gateway.upstream import Upstream
from tests.support.collector import running_collector
from tests.support.tokens import Tokens

FOREIGN = "4bf92f3577b34da6a3ce929d0e0e4736"
FORCING = {
    "traceparent": f"00-{FOREIGN}-00f067aa0ba902b7-01",
    "tracestate": "somebody=else",
    "baggage": "user=grace",
    "x-trace-id": FOREIGN,
    "x-client-trace-id": "mine",
    "x-envoy-force-trace": "true",
}


def test_nobody_else_names_a_trace(gateway: RunningEnvoy, signed_in: httpx.Client, upstream: Upstream) -> None:
    """Services, answer and access log have one trace, made by the gateway; without a collector it isn't recorded."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User())
    answer = signed_in.get("/auth/me", headers=FORCING)
    metadata = upstream.last_call.metadata
    version, trace_id, _, flags = metadata["traceparent"].split("-")
    assert (version, flags) == ("00", "00")
    assert answer.headers["x-trace-id"] == trace_id != FOREIGN
    assert not {"baggage", "x-trace-id", "x-client-trace-id", "x-envoy-force-trace"} & metadata.keys()
    assert not metadata.get("tracestate")
    logged = until(
        lambda: [line for line in gateway.access_log() if line["request_id"] == answer.headers["x-request-id"]],
        "the request's line",
    )
    assert logged[0]["trace_id"] == trace_id


@pytest.mark.parametrize(("share", "flags"), [(0.0, "00"), (1.0, "01")])
def test_the_settings_say_what_is_recorded(
    tmp_path: Path,
    upstream: Upstream,
    tokens: Tokens,
    settings_for: Callable[..., GatewaySettings],
    share: float,
    flags: str,
) -> None:
    """Of all requests that share is recorded which the settings name, whatever their callers ask for."""
    upstream.on(GET_ME, lambda _request, _context: account_pb2.User())
    with running_collector() as collector:
        settings = settings_for(
            upstream,
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_exporter_otlp_headers="x-tenant=mirage%2C1",
            otel_traces_sampler="parentbased_traceidratio",
            otel_traces_sampler_arg=share,
        )
        with running_envoy(tmp_path, settings) as envoy:
            wait_until_serving(envoy, tokens)
            headers = {"authorization": f"Bearer {tokens.user()}", **FORCING}
            answer = httpx.get(f"{envoy.url}/auth/me?ticket=secret", headers=headers)
            assert upstream.last_call.metadata["traceparent"].endswith(f"-{flags}")
            if share:
                [span] = collector.trace(answer.headers["x-trace-id"], lambda spans: len(spans) == 1)
                assert span.name == "AccountService.GetMe"
                assert span.attributes["http.url"] == "/auth/me"
                assert "secret" not in repr(span)
                assert collector.metadata["x-tenant"] == "mirage,1"
        if not share:  # gone with what it had not sent
            assert not [span for span in collector.spans if span.name == "AccountService.GetMe"]


@pytest.mark.parametrize("endpoint", ["collector:4317", "http://", "ftp://collector", "http://collector/v1/traces"])
def test_wrong_endpoints(settings_for: Callable[..., GatewaySettings], upstream: Upstream, endpoint: str) -> None:
    """What is no collector's address is refused, with what would be right."""
    with pytest.raises(ValueError, match="must be http://host:port"):
        settings_for(upstream, otel_exporter_otlp_endpoint=endpoint)
