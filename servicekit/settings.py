"""Settings: environment variables, read once, into frozen objects.

A service's own `settings.py` derives from these and is the only reader of the environment.
"""

import re
import sys
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import unquote

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from servicekit import certificates
from servicekit.tls import InternalTls
from servicekit.wording import in_words

_COLLECTOR = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?")
_HEADER = re.compile(r"\s*[a-z0-9_.-]+\s*=[^,\r\n]*")

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

CertificateFile = Annotated[Path, AfterValidator(certificates.certificates)]
"""A file of certificates (PEM); its path becomes absolute."""

KeyFile = Annotated[Path, AfterValidator(certificates.readable)]
"""A file of a private key (PEM); its path becomes absolute."""


class InternalTlsSettings(BaseSettings):
    """How processes of the platform speak with each other: by mutual TLS, where it is set."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    internal_tls_cert_file: CertificateFile | None = Field(None, examples=["/etc/mirage/internal.crt"])
    internal_tls_key_file: KeyFile | None = Field(None, examples=["/etc/mirage/internal.key"])
    internal_tls_ca_file: CertificateFile | None = Field(None, examples=["/etc/mirage/internal-ca.crt"])

    @property
    def internal_tls(self) -> InternalTls | None:
        """What this process proves itself by, and whom it trusts; None where processes speak in the clear."""
        certificate, key, trusted = self.internal_tls_cert_file, self.internal_tls_key_file, self.internal_tls_ca_file
        return InternalTls(certificate, key, trusted) if certificate and key and trusted else None

    @model_validator(mode="after")
    def _usable_internal_tls(self) -> Self:
        names = ("internal_tls_cert_file", "internal_tls_key_file", "internal_tls_ca_file")
        missing = [name.upper() for name in names if getattr(self, name) is None]
        if 0 < len(missing) < len(names):
            together = ", ".join(name.upper() for name in names)
            raise ValueError(f"{together} go together; not set: {', '.join(missing)}")
        if self.internal_tls is not None:
            try:
                certificates.check(*self.internal_tls)
            except certificates.WrongCertificate as error:
                raise ValueError(f"INTERNAL_TLS_…_FILE: {error}") from None
        return self


class MetricsSettings(BaseSettings):
    """Whether and where a process tells its metrics."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    metrics_enabled: bool = Field(True, examples=["true"])
    metrics_host: str = Field("127.0.0.1", examples=["0.0.0.0"])  # noqa: S104 - an example of the value
    metrics_port: int = Field(0, ge=0, le=65535, description="0 takes a free port", examples=["9090"])


def _collector(endpoint: str) -> str:
    if not _COLLECTOR.fullmatch(endpoint):
        raise ValueError("must be http://host:port, or https://host:port for TLS")
    return endpoint.rstrip("/")


def _header_list(headers: SecretStr) -> SecretStr:
    if not all(_HEADER.fullmatch(header) for header in headers.get_secret_value().split(",") if header.strip()):
        raise ValueError("must be name=value,name=value, the names in lower case")
    return headers


class TelemetrySettings(BaseSettings):
    """Where traces go, under the names that OpenTelemetry has for its settings."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(_collector)] | None = Field(
        None, description="a collector that takes OTLP over gRPC", examples=["http://localhost:4317"]
    )
    otel_exporter_otlp_headers: Annotated[SecretStr, AfterValidator(_header_list)] = Field(
        SecretStr(""), description="sent to it with every batch", examples=["authorization=Bearer%20…"]
    )
    otel_exporter_otlp_certificate: CertificateFile | None = Field(
        None, description="to trust instead of the usual ones", examples=["/etc/mirage/collector-ca.crt"]
    )

    @property
    def otlp_headers(self) -> dict[str, str]:
        """What is sent to the collector with every batch, by name."""
        pairs = (header.partition("=") for header in self.otel_exporter_otlp_headers.get_secret_value().split(","))
        return {name.strip(): unquote(value.strip()) for name, _, value in pairs if name.strip()}


class PerformanceSettings(BaseSettings):
    """Whether a process counts the requests that it serves, for statistics."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    performance_monitoring: bool = Field(True, description="whether statistics tell of requests", examples=["true"])


class ServiceSettings(InternalTlsSettings, MetricsSettings, TelemetrySettings, PerformanceSettings):
    """What every service reads."""

    environment: Literal["development", "staging", "production"] = Field("development", examples=["production"])
    debug: bool = Field(False, examples=["false"])
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", examples=["INFO"])
    log_file_path: Path | None = Field(
        None, description="a file beside standard output, one a process", examples=["/var/log/mirage/{process}.log"]
    )
    log_rotation_size_mb: int = Field(10, ge=1, le=10_000, examples=["10"])
    log_backup_count: int = Field(5, ge=0, le=1000, examples=["5"])

    grpc_host: str = Field("127.0.0.1", examples=["0.0.0.0"])  # noqa: S104 - an example of the value
    grpc_port: int = Field(0, ge=0, le=65535, description="0 takes a free port", examples=["50051"])
    shutdown_grace_seconds: float = Field(5.0, ge=0, examples=["5"])

    max_request_size_mb: int = Field(100, ge=1, le=1000, description="all but uploads", examples=["100"])

    database_url: SecretStr = Field(examples=["postgresql+asyncpg://auth:password@localhost:5432/mirage"])
    database_pool_size: int = Field(10, ge=1, le=200, examples=["10"])
    database_timeout_seconds: float = Field(10.0, gt=0, examples=["10"])

    token_issuer: str = Field("mirage", min_length=1, examples=["mirage"])
    token_audience: str = Field("mirage-api", min_length=1, examples=["mirage-api"])

    @field_validator("database_url")
    @classmethod
    def _asyncpg(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith("postgresql+asyncpg://"):
            raise ValueError("must begin with postgresql+asyncpg://")
        return url

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if self.environment == "production" and self.debug:
            raise ValueError("DEBUG=true is refused with ENVIRONMENT=production; set DEBUG=false")
        return self


class PeerSettings(InternalTlsSettings):
    """What a service reads that checks tokens by auth's keys and calls other services in its own name."""

    auth_address: str = Field(min_length=1, examples=["localhost:50051"])
    service_client_id: str = Field(min_length=1, examples=["generation"])
    service_client_secret: SecretStr = Field(min_length=16, examples=["32 random characters"])


class ActivitySettings(InternalTlsSettings):
    """What a service reads that tells what happens in it."""

    activity_address: str = Field(
        "", description="without it, what happens waits in the database to be told", examples=["localhost:50055"]
    )


class ObjectStoreSettings(BaseSettings):
    """Where objects are kept."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    s3_endpoint: str = Field(min_length=1, description="host:port", examples=["localhost:9000"])
    s3_public_endpoint: str = Field("", description="what signed URLs name", examples=["files.example.org"])
    s3_access_key: SecretStr = Field(min_length=1, examples=["mirage"])
    s3_secret_key: SecretStr = Field(min_length=1, examples=["32 random characters"])
    s3_region: str = Field("us-east-1", min_length=1, examples=["us-east-1"])
    s3_bucket_prefix: str = Field("mirage", pattern=r"^[a-z0-9][a-z0-9-]{1,40}$", examples=["mirage"])
    s3_local_path: Path | None = Field(
        None,
        description="where a store on this machine keeps its objects, to tell when the disk is full",
        examples=["/var/lib/mirage/objects"],
    )
    s3_secure: bool = Field(False, description="whether the endpoint speaks TLS", examples=["true"])
    s3_ca_file: CertificateFile | None = Field(
        None, description="certificates to trust instead of the usual ones", examples=["/etc/mirage/s3-ca.crt"]
    )

    storage_quota_mb: int = Field(
        10_000, ge=0, le=2**31 - 1, description="what one user may have stored; 0 is no limit", examples=["10000"]
    )
    sweep_interval_minutes: float = Field(
        60.0, gt=0, le=43_200, description="between two looks for objects without rows", examples=["60"]
    )


class ConfigurationError(Exception):
    """A file that a setting names can't be used; the message names the setting and says what would be right."""


def load(settings: type[SettingsT]) -> SettingsT:
    """Reads the settings from the environment.

    Where one is wrong, says for each its name, its value's fault and an example, and ends the process with status 2.
    """
    try:
        return settings()
    except ValidationError as error:
        print(describe(settings, error), file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(2) from None


def describe(settings: type[BaseSettings], error: ValidationError) -> str:
    """What is wrong with the environment, a line for each setting. Values are not repeated: they may be secret."""
    lines = ["Mirage can't start: settings are wrong."]
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        fault = "is not set" if detail["type"] == "missing" else in_words(detail, settings)
        field = settings.model_fields.get(name)
        example = f" Example: {name.upper()}={field.examples[0]}" if field and field.examples else ""
        lines.append(f"  {name.upper()}: {fault}.{example}" if name else f"  {fault}")
    return "\n".join(lines)
