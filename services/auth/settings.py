"""The auth service's settings; the only reader of its environment."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, FilePath, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from servicekit.settings import ActivitySettings, ServiceSettings

LONGEST_TOKEN_MINUTES = 1_440
"""What no access token outlives, whatever the settings are."""


class PasswordSettings(BaseSettings):
    """What a password hash costs: argon2id's parameters (RFC 9106, section 4, the second recommended option)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    password_hash_memory_kib: int = Field(65_536, ge=64, le=4_194_304, examples=["65536"])
    password_hash_iterations: int = Field(3, ge=1, le=100, examples=["3"])
    password_hash_lanes: int = Field(4, ge=1, le=64, examples=["4"])


class TokenSettings(BaseSettings):
    """How long tokens are good, and the keys that sign them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    access_token_expire_minutes: int = Field(30, ge=1, le=LONGEST_TOKEN_MINUTES, examples=["30"])
    service_token_expire_minutes: int = Field(10, ge=5, le=15, examples=["10"])
    signing_keys_dir: Path = Field(
        description="PEM files, made on first start where there is none", examples=["/var/lib/mirage/keys"]
    )
    signing_key_publish_seconds: float = Field(
        180.0,
        ge=1,
        le=86_400,
        description="a new key is published for so long before it signs; longer than anybody keeps the published keys",
        examples=["180"],
    )

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long a person's access token is good."""
        return timedelta(minutes=self.access_token_expire_minutes)

    @property
    def service_token_lifetime(self) -> timedelta:
        """How long a service's access token is good."""
        return timedelta(minutes=self.service_token_expire_minutes)

    @property
    def signed_lifetime(self) -> timedelta:
        """How long any signed token is good: for so long a key is published after it has signed the last one."""
        return max(self.access_token_lifetime, self.service_token_lifetime)

    @property
    def key_publication(self) -> timedelta:
        """How long a new key is published before it signs."""
        return timedelta(seconds=self.signing_key_publish_seconds)


class CommandSettings(ServiceSettings, PasswordSettings):
    """What the administrator's command reads: the database and the cost of a hash."""


class Settings(ServiceSettings, ActivitySettings, PasswordSettings, TokenSettings):
    """What the service reads."""

    dataset_address: str = Field(min_length=1, examples=["localhost:50052"])
    generation_address: str = Field(min_length=1, examples=["localhost:50053"])
    optimizer_address: str = Field(min_length=1, examples=["localhost:50054"])
    deletion_settle_seconds: float = Field(
        10.0,
        ge=0,
        le=60,
        description="how long after an account's end something may still go on in its name; tokens end within five",
        examples=["10"],
    )

    refresh_token_expire_days: int = Field(7, ge=1, le=365, examples=["7"])
    max_api_keys: int = Field(20, ge=0, le=10_000, description="keys a user may have", examples=["20"])
    api_key_max_expire_days: int = Field(365, ge=1, le=3_650, examples=["365"])
    rate_limits: str = Field(
        "", description="off lets everybody try passwords and keys without a limit, for load tests", examples=["off"]
    )
    revocation_heartbeat_seconds: float = Field(
        1.0,
        gt=0,
        le=2,
        description="between signs of life to services that follow revocations",
        examples=["1"],
    )
    service_secrets_file: FilePath = Field(
        description="a JSON object: client id to secret", examples=["/etc/mirage/service-secrets.json"]
    )

    @model_validator(mode="after")
    def _limited_in_production(self) -> Self:
        if self.environment == "production" and not self.throttles:
            raise ValueError("RATE_LIMITS=off is refused with ENVIRONMENT=production")
        return self

    @property
    def holders(self) -> dict[str, str]:
        """The services that hold what is users', by name, and where they are."""
        holders = {
            "dataset": self.dataset_address,
            "generation": self.generation_address,
            "optimizer": self.optimizer_address,
        }
        return holders | ({"activity": self.activity_address} if self.activity_address else {})

    @property
    def deletion_settle(self) -> timedelta:
        """How long after an account's end something may still come to be in its name."""
        return timedelta(seconds=self.deletion_settle_seconds)

    @property
    def throttles(self) -> bool:
        """Whether attempts are limited."""
        return self.rate_limits.strip().lower() != "off"

    @property
    def refresh_token_lifetime(self) -> timedelta:
        """How long a session lasts unless it is renewed."""
        return timedelta(days=self.refresh_token_expire_days)

    @property
    def api_key_max_lifetime(self) -> timedelta:
        """The longest time that an API key may be good."""
        return timedelta(days=self.api_key_max_expire_days)
