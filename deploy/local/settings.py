"""The settings of the platform on one machine; each service reads its own from the same environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class LocalSettings(BaseSettings):
    """What the starter itself reads."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    environment: Literal["development", "staging", "production"] = Field("development", examples=["production"])
    mirage_home: Path = Field(Path(".mirage"), description="where everything is kept", examples=[".mirage"])
    mirage_port: int = Field(8080, ge=0, le=65535, description="0 takes a free port", examples=["8081"])
    gateway_host: str = Field("127.0.0.1", examples=["0.0.0.0"])  # noqa: S104 - an example of the value
    s3_bucket_prefix: str = Field("mirage", pattern=r"^[a-z0-9][a-z0-9-]{1,40}$", examples=["mirage"])
    metrics_enabled: bool = Field(True, examples=["true"])
    log_rotation_size_mb: int = Field(10, ge=1, le=10_000, examples=["10"])
    log_backup_count: int = Field(5, ge=0, le=1000, examples=["5"])
