"""Settings: environment variables, read once, into frozen objects.

A service's own `settings.py` derives from these and is the only reader of the environment.
"""

import sys
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class ServiceSettings(BaseSettings):
    """What every service reads."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    environment: Literal["development", "staging", "production"] = Field("development", examples=["production"])
    debug: bool = Field(False, examples=["false"])
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", examples=["INFO"])

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


class PeerSettings(BaseSettings):
    """What a service reads that checks tokens by auth's keys and calls other services in its own name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    auth_address: str = Field(min_length=1, examples=["localhost:50051"])
    service_client_id: str = Field(min_length=1, examples=["generation"])
    service_client_secret: SecretStr = Field(min_length=16, examples=["32 random characters"])


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

    storage_quota_mb: int = Field(
        10_000, ge=0, le=2**31 - 1, description="what one user may have stored; 0 is no limit", examples=["10000"]
    )
    sweep_interval_minutes: float = Field(
        60.0, gt=0, le=43_200, description="between two looks for objects without rows", examples=["60"]
    )


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
        fault = "is not set" if detail["type"] == "missing" else detail["msg"].removeprefix("Value error, ")
        field = settings.model_fields.get(name)
        example = f" Example: {name.upper()}={field.examples[0]}" if field and field.examples else ""
        lines.append(f"  {name.upper()}: {fault}.{example}" if name else f"  {fault}")
    return "\n".join(lines)
