"""Writes all that Envoy needs to be the gateway into one directory: `python -m gateway.render --directory DIRECTORY`.

Settings come from the environment then. Whoever starts Envoy from Python calls `write_configuration`.
"""

import argparse
import ipaddress
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from gateway.contracts import DESCRIPTOR_SET, Rpc, read_descriptor_set, routed_rpcs
from gateway.local_replies import CHECKED, HEALTH_PATH, LOCAL_REPLY_TYPE, local_replies
from gateway.lua_tables import lua_tables
from gateway.pages import write_pages
from gateway.rate_limit_config import (
    LIMIT_SERVICE,
    USER_HEADER,
    Metadata,
    limit_filter,
    metadata_of,
    metadata_of_address,
    rate_limit_service_config,
)
from gateway.rate_limits import DOCS_CLASS, HEALTH_CLASS, RateLimits, Rule, read_rate_limits
from gateway.settings import GatewaySettings

_HERE = Path(__file__).parent
CERTIFICATE = "certificate.json"
RATE_LIMIT_SERVICE_CONFIG = "rate-limit-service.yaml"

# Every route is served as written, below /api and below /api/v1.
_PREFIX = "(?:/api(?:/v1)?)?"

_ADDRESSES = (r"\d{1,3}(?:\.\d{1,3}){3}", r"\[[0-9a-f:.]+\]")

_MEBIBYTE = 1024 * 1024
# Boundaries, part headers and gRPC frames of an upload; the dataset service counts the file itself to the byte.
_UPLOAD_OVERHEAD_BYTES = 8 * _MEBIBYTE
_LARGEST_JSON_ANSWER_BYTES = 64 * _MEBIBYTE

_UNARY_TIMEOUT_S = 60
# What answers when work of its own is done. The service ends that work in time and says so; the gateway ends it later.
_LASTING = frozenset({"AuditService.VerifyLog", "ProvenanceService.VerifyProvenance", "QualityService.EvaluateTable"})
_LASTING_MARGIN_S = 60
# Streams send heartbeats; an upload is silent while its table is read and profiled.
_STREAM_IDLE_TIMEOUT_S = 300
_UPLOAD_IDLE_TIMEOUT_S = 1800

_CORS_REQUEST_HEADERS = (
    "authorization", "content-type", "idempotency-key", "x-request-id", "x-grpc-web", "x-user-agent", "grpc-timeout",
)  # fmt: skip
_CORS_RESPONSE_HEADERS = (
    "content-disposition", "grpc-message", "grpc-status", "grpc-status-details-bin", "retry-after", "x-ratelimit-limit",
    "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id", "x-seed", "x-trace-id",
)  # fmt: skip

# By which a caller would name a trace, have one recorded, or pass values on along it.
_FOREIGN_TRACE_HEADERS = (
    "traceparent", "tracestate", "baggage", "x-trace-id", "x-client-trace-id", "x-envoy-force-trace",
)  # fmt: skip

_COMPRESSORS = {
    "gzip": {
        "@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip",
        "compression_level": "BEST_SPEED",
        "window_bits": 15,
        "memory_level": 8,
    },
    "brotli": {
        "@type": "type.googleapis.com/envoy.extensions.compression.brotli.compressor.v3.Brotli",
        "quality": 4,
    },
}


def write_configuration(directory: Path, settings: GatewaySettings) -> Path:
    """Writes Envoy's configuration with every file that it names; returns the path of the configuration.

    The configuration names its files by their absolute paths, so the directory stays where it is.

    Raises:
        ValueError: the contracts route to a service whose address isn't among the settings, or the directory's name is
            one that scripts can't be read from.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    files = read_descriptor_set()
    rpcs = routed_rpcs(files)
    _require_upstreams(rpcs, settings)
    shutil.copyfile(DESCRIPTOR_SET, directory / "descriptors.binpb")
    scripts = directory / "lua"
    shutil.copytree(_HERE / "lua", scripts, dirs_exist_ok=True)
    (scripts / "contracts.lua").write_text(lua_tables(files, rpcs, settings.limits), encoding="utf-8")
    limits = read_rate_limits(settings.rate_limits_file) if settings.rate_limits_file else None
    uploads = [rpc for rpc in rpcs if rpc.is_upload]
    upload_bindings = [binding for rpc in uploads for binding in rpc.bindings]
    configuration = _template().render(
        directory=directory,
        certificate=directory / CERTIFICATE,
        lua_path=_lua_path(scripts),
        settings=settings,
        rpcs=rpcs,
        route_metadata=_route_metadata(rpcs, limits),
        page_metadata=_metadata_of_class(limits, DOCS_CLASS),
        health_metadata=_metadata_of_class(limits, HEALTH_CLASS),
        other_metadata=metadata_of_address(limits) if limits else {},
        limit_filter=limit_filter(limits, by_service=settings.rate_limit_service is not None) if limits else None,
        limit_service=LIMIT_SERVICE,
        user_header=USER_HEADER,
        upload_bindings=upload_bindings,
        raw_bindings=[binding for rpc in rpcs if rpc.takes_raw_body for binding in rpc.bindings],
        pages=write_pages(directory / "docs", settings.limits),
        prefix=_PREFIX,
        health_path=HEALTH_PATH,
        health_hosts=_health_hosts(settings.allowed_hosts),
        local_reply_type=LOCAL_REPLY_TYPE,
        checked=CHECKED,
        local_replies=local_replies(
            max_request_size_mb=settings.max_request_size_mb,
            max_file_size_mb=settings.max_file_size_mb,
            # A body without a declared length is found too large only after transcoding, when the path is the RPC's.
            upload_patterns=[binding.pattern for binding in upload_bindings] + [re.escape(rpc.path) for rpc in uploads],
        ),
        security_headers=_security_headers(tls=settings.tls_cert_file is not None),
        foreign_trace_headers=_FOREIGN_TRACE_HEADERS,
        cors_request_headers=_CORS_REQUEST_HEADERS,
        cors_response_headers=_CORS_RESPONSE_HEADERS,
        compressors=_COMPRESSORS,
        request_limit_bytes=settings.max_request_size_mb * _MEBIBYTE,
        upload_limit_bytes=settings.max_file_size_mb * _MEBIBYTE + _UPLOAD_OVERHEAD_BYTES,
        response_limit_bytes=_LARGEST_JSON_ANSWER_BYTES,
        unary_timeout_s=_UNARY_TIMEOUT_S,
        lasting=_LASTING,
        lasting_timeout_s=settings.request_timeout_seconds + _LASTING_MARGIN_S,
        stream_idle_timeout_s=_STREAM_IDLE_TIMEOUT_S,
        upload_idle_timeout_s=_UPLOAD_IDLE_TIMEOUT_S,
    )
    if settings.tls_cert_file and settings.tls_key_file:
        _write_certificate(directory / CERTIFICATE, settings.tls_cert_file, settings.tls_key_file)
    if limits:
        service = json.dumps(rate_limit_service_config(limits), indent=1)  # JSON is YAML as well
        (directory / RATE_LIMIT_SERVICE_CONFIG).write_text(service, encoding="utf-8")
    path = directory / "envoy.yaml"
    path.write_text(configuration, encoding="utf-8")
    return path


def _write_certificate(path: Path, certificate: Path, key: Path) -> None:
    """Tells Envoy where the gateway's certificate is, by a file of its own: so it takes up one that is replaced."""
    secret = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "gateway",
        "tls_certificate": {
            "certificate_chain": {"filename": str(certificate)},
            "private_key": {"filename": str(key)},
            "watched_directory": {"path": str(certificate.parent)},
        },
    }
    path.write_text(json.dumps({"resources": [secret]}), encoding="utf-8")


def _route_metadata(rpcs: Sequence[Rpc], limits: RateLimits | None) -> dict[str, Metadata]:
    """What each RPC's route says to the filters, by the RPC's path."""
    said = {rpc.path: metadata_of(limits, rpc) if limits else {} for rpc in rpcs}
    for rpc in rpcs:
        if rpc.is_raw:
            said[rpc.path].setdefault("response", {})["raw"] = True
    return said


def _metadata_of_class(limits: RateLimits | None, name: str) -> Metadata:
    return metadata_of_address(limits, Rule(name, name)) if limits else {}


def _lua_path(scripts: Path) -> str:
    """A line of Lua by which scripts find each other.

    Raises:
        ValueError: the directory's name has a character that means something in such a line.
    """
    if wrong := set(str(scripts)) & set("?;]"):
        raise ValueError(f"the scripts can't be read from {scripts}: its name holds {' '.join(sorted(wrong))}")
    return f"package.path = [[{scripts}/?.lua]] "


def _health_hosts(allowed: Sequence[str]) -> str:
    """A regular expression (RE2) for the hosts by which the platform's health may be asked: all allowed, any address.

    An address needs no entry among the allowed hosts: no name of somebody else's can be made to mean it, and a probe of
    a cluster or a load balancer knows nothing else.
    """
    if "*" in allowed:
        return ".*"
    names = [re.escape(host) if host[0] != "*" else f".+{re.escape(host[1:])}" for host in allowed]
    return rf"(?i)({'|'.join([*names, *_ADDRESSES])})(:\d+)?"


def _require_upstreams(rpcs: Sequence[Rpc], settings: GatewaySettings) -> None:
    missing = {rpc.upstream for rpc in rpcs} - set(settings.upstreams)
    if missing:
        raise ValueError(f"no address is set for: {', '.join(sorted(missing))}")


def _security_headers(*, tls: bool) -> dict[str, str]:
    """Headers of every answer. A page of the documentation has a content security policy of its own."""
    headers = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }
    if tls:
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - this is YAML; every value passes through `tojson`
    )
    environment.tests["ip"] = _is_ip
    return environment.get_template("envoy.yaml.j2")


def _is_ip(host: Any) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def main() -> None:
    """Writes the configuration by the environment's settings, and says where it is."""
    from servicekit.settings import load

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where to write; made if it doesn't exist")
    directory, settings = parser.parse_args().directory, load(GatewaySettings)
    for doubt in settings.doubts:
        print(doubt, file=sys.stderr)  # noqa: T201 - for who starts it
    print(write_configuration(directory, settings))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
