"""The gateway's settings: read once from the environment, or given by whoever starts Envoy."""

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.rate_limits import DEFAULT_FILE, OFF, read_rate_limits
from servicekit import certificates
from servicekit.settings import CertificateFile, InternalTlsSettings, KeyFile, MetricsSettings, TelemetrySettings

# A host name, an IPv4 address or an IPv6 address in brackets; in lists of hosts also `*` and `*.example.org`.
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]|\*")
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?|\*")

# Settings of services that limits of requests name.
_LIMITS = ("min_sample_size", "max_sample_size", "max_optimization_trials", "max_parallel_trials")


def _checked_address(address: str) -> str:
    match = _ADDRESS.fullmatch(address)
    if not match or not 0 < int(match["port"]) <= 65535:
        raise ValueError("must be host:port")
    return address


Address = Annotated[str, AfterValidator(_checked_address)]


# Where systems keep the usual authorities; where there is none of these, the last is told to be missing.
_AUTHORITIES = (
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
    Path("/etc/ssl/certs/ca-certificates.crt"),
)
_OTLP_PORT = 4317


class Collector(NamedTuple):
    """Who takes spans."""

    host: str
    port: int
    tls: bool
    trusted: Path  # certificates that its own is checked by


class GatewaySettings(InternalTlsSettings, MetricsSettings, TelemetrySettings):
    """What Envoy's configuration depends on.

    A service that the gateway routes to is one field here, named after its contracts' package: `<service>_address`.
    """

    environment: Literal["development", "staging", "production"] = Field("development", examples=["production"])

    gateway_host: str = Field("127.0.0.1", examples=["0.0.0.0"])  # noqa: S104 - an example of the value
    mirage_port: int = Field(8080, ge=0, le=65535, description="0 takes a free port", examples=["8080"])
    gateway_admin_port: int = Field(
        0, ge=0, le=65535, description="on loopback; 0 takes a free port", examples=["9901"]
    )
    gateway_access_log: Path = Field(Path("/dev/stdout"), examples=["/var/log/mirage/access.log"])
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="proxies in front that append to X-Forwarded-For", examples=["1"]
    )

    activity_address: Address = Field(examples=["localhost:50055"])
    auth_address: Address = Field(examples=["localhost:50051"])
    dataset_address: Address = Field(examples=["localhost:50052"])
    generation_address: Address = Field(examples=["localhost:50053"])
    optimizer_address: Address = Field(examples=["localhost:50054"])

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("http://localhost:3000", "http://localhost:8081"), examples=["https://app.example.org"]
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        ("localhost", "127.0.0.1"), min_length=1, examples=["api.example.org,*.internal.example.org"]
    )
    max_request_size_mb: int = Field(100, ge=1, le=1000, description="all but uploads", examples=["100"])
    max_file_size_mb: int = Field(500, ge=1, le=1_000_000, description="uploads", examples=["500"])
    rate_limits: str = Field(
        str(DEFAULT_FILE),
        description="the file of rate limits; off for none",
        examples=["/etc/mirage/rate-limits.yaml"],
    )
    rate_limit_service_address: Address | None = Field(
        None, description="envoyproxy/ratelimit, where several gateways count together", examples=["ratelimit:8081"]
    )

    # Not the gateway's own, but told by it: limits of requests, and what the documentation says of them.
    min_sample_size: int = Field(1, ge=1, examples=["1"])
    max_sample_size: int = Field(100_000, ge=1, le=2_000_000_000, examples=["100000"])
    max_optimization_trials: int = Field(100, ge=1, le=10_000, examples=["100"])
    max_parallel_trials: int = Field(4, ge=1, le=64, examples=["4"])

    request_timeout_seconds: int = Field(
        3600, ge=1, le=604_800, description="for what is answered only when a table was judged", examples=["3600"]
    )

    token_issuer: str = Field("mirage", min_length=1, examples=["mirage"])
    token_audience: str = Field("mirage-api", min_length=1, examples=["mirage-api"])

    signing_keys_cache_seconds: int = Field(
        60,
        ge=1,
        le=600,
        description="how long the published keys are kept",
        examples=["60"],
    )

    tls_cert_file: CertificateFile | None = Field(None, examples=["/etc/mirage/tls.crt"])
    tls_key_file: KeyFile | None = Field(None, examples=["/etc/mirage/tls.key"])

    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field("parentbased_always_on", description="which requests are recorded", examples=["parentbased_traceidratio"])
    otel_traces_sampler_arg: float = Field(
        1.0, ge=0, le=1, description="the share that a …traceidratio sampler records", examples=["0.05"]
    )

    @property
    def collector(self) -> Collector | None:
        """Who takes spans; None for nobody."""
        if self.otel_exporter_otlp_endpoint is None:
            return None
        url = urlsplit(self.otel_exporter_otlp_endpoint)
        usual = next((path for path in _AUTHORITIES if path.exists()), _AUTHORITIES[-1])
        trusted = self.otel_exporter_otlp_certificate or usual
        return Collector(url.hostname or "", url.port or _OTLP_PORT, url.scheme == "https", trusted)

    @property
    def recorded_percent(self) -> float:
        """Of how many requests in a hundred spans are recorded. Nobody names a trace to the gateway: it begins them."""
        sampler = self.otel_traces_sampler.removeprefix("parentbased_")
        if self.collector is None or sampler == "always_off":
            return 0.0
        return 100.0 if sampler == "always_on" else 100 * self.otel_traces_sampler_arg

    @property
    def tells_metrics(self) -> bool:
        """Whether Envoy's metrics are told on a port of their own. They come from its administration."""
        return self.metrics_enabled and self.gateway_admin_port != 0

    @property
    def ticket_audience(self) -> str:
        """The audience of tickets for streams."""
        return f"{self.token_audience}/streams"

    @property
    def limits(self) -> dict[str, float]:
        """The values that limits of requests may name, by the setting's name."""
        return {name.upper(): getattr(self, name) for name in _LIMITS}

    @property
    def rate_limits_file(self) -> Path | None:
        """The file of rate limits; None where there are none."""
        return None if self.rate_limits == OFF else Path(self.rate_limits)

    @property
    def rate_limit_service(self) -> tuple[str, int] | None:
        """Host and port of the service that counts for all gateways; None where each counts for itself."""
        address = self.rate_limit_service_address
        return _host_and_port(address) if address and self.rate_limits_file else None

    @property
    def upstreams(self) -> dict[str, tuple[str, int]]:
        """Host and port of each service behind the gateway, by its name."""
        return {
            name.removesuffix("_address"): _host_and_port(getattr(self, name))
            for name in type(self).model_fields
            if name.endswith("_address") and name != "rate_limit_service_address"
        }

    @property
    def doubts(self) -> tuple[str, ...]:
        """What may be as it should be, or not: only who runs it knows. A line each, to be read at the start."""
        if self.environment == "production" and self.tls_cert_file is None:
            unset = "The gateway speaks in the clear: TLS_CERT_FILE and TLS_KEY_FILE are not set."
            return (f"{unset} With ENVIRONMENT=production something in front of it must speak TLS.",)
        return ()

    @field_validator("cors_origins", "allowed_hosts", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("rate_limits")
    @classmethod
    def _is_readable(cls, value: str) -> str:
        if value.strip().lower() == OFF:
            return OFF
        read_rate_limits(Path(value))
        return str(Path(value).absolute())

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [origin for origin in origins if not _ORIGIN.fullmatch(origin)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no origin: scheme and host, without a path")
        return origins

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [host for host in hosts if not _HOST.fullmatch(host)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no host name; a port is not part of it")
        return tuple(dict.fromkeys(host.lower() for host in hosts))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.min_sample_size > self.max_sample_size:
            raise ValueError("MIN_SAMPLE_SIZE and MAX_SAMPLE_SIZE must ascend, as 1 and 100000 do")
        if self.metrics_enabled and self.metrics_port and not self.gateway_admin_port:
            raise ValueError("METRICS_PORT of the gateway needs GATEWAY_ADMIN_PORT, which the metrics come from")
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE go together; one of them is not set")
        if self.tls_cert_file and self.tls_key_file:
            try:
                certificates.check(self.tls_cert_file, self.tls_key_file)
            except certificates.WrongCertificate as error:
                raise ValueError(f"TLS_CERT_FILE, TLS_KEY_FILE: {error}") from None
        if self.environment == "production" and self.rate_limits_file is None:
            raise ValueError("RATE_LIMITS=off is refused with ENVIRONMENT=production; name a file of limits")
        if self.environment == "production" and "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS=* is refused with ENVIRONMENT=production; name the origins")
        return self


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
