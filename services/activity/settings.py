"""The activity service's settings; the only reader of its environment."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from servicekit.settings import PeerSettings, ServiceSettings


class AuditSettings(BaseSettings):
    """The keys that sign the log."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    audit_keys_dir: Path = Field(
        description="PEM files, made on first start where there is none, and the latest checkpoint",
        examples=["/var/lib/mirage/audit-keys"],
    )
    checkpoint_seconds: float = Field(
        10.0, ge=0.1, le=3_600, description="between two signatures under the log's end", examples=["10"]
    )


class NotificationSettings(BaseSettings):
    """How users are told of things."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    notification_batch_size: int = Field(
        100, ge=1, le=10_000, description="records of the log that are looked at once", examples=["100"]
    )
    notification_attempts: int = Field(
        6, ge=1, le=20, description="tries of a delivery before its target is given up", examples=["6"]
    )
    notification_retry_seconds: float = Field(
        30.0, gt=0, le=3_600, description="until the second try; twice as long each time", examples=["30"]
    )
    notification_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="for a push service or mail server to answer", examples=["10"]
    )

    enable_push_notifications: bool = Field(True, examples=["true"])
    push_service_hosts: str = Field(
        "*.notify.windows.com,*.push.apple.com,fcm.googleapis.com,updates.push.services.mozilla.com",
        description="where messages for browsers may go; `*.example.org` is all below example.org",
        examples=["fcm.googleapis.com"],
    )
    vapid_private_key_file: Path | None = Field(
        None,
        description="an EC key on P-256 (PEM), made where there is none; without it nothing goes to browsers",
        examples=["/var/lib/mirage/vapid.pem"],
    )
    vapid_subject: str = Field(
        "mailto:postmaster@localhost",
        pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://\S+)$",
        description="how keepers of push services reach you: mailto: or https:",
        examples=["mailto:ops@example.org"],
    )

    smtp_host: str = Field("", description="without it nothing goes by e-mail", examples=["smtp.example.org"])
    smtp_port: int = Field(587, ge=1, le=65_535, examples=["587"])
    smtp_security: Literal["starttls", "tls", "none"] = Field("starttls", examples=["starttls"])
    smtp_username: str = Field("", examples=["mirage"])
    smtp_password: SecretStr | None = Field(None, examples=["…"])
    smtp_from: str = Field("", description="the sender's address", examples=["mirage@example.org"])
    smtp_from_name: str = Field("Mirage", min_length=1, examples=["Mirage"])

    @property
    def push_hosts(self) -> tuple[str, ...]:
        """The push services, one by one."""
        return tuple(host.strip().lower() for host in self.push_service_hosts.split(",") if host.strip())

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.smtp_host and "@" not in self.smtp_from:
            raise ValueError("SMTP_HOST needs SMTP_FROM, an e-mail address such as mirage@example.org")
        if self.smtp_password is not None and self.smtp_security == "none":
            raise ValueError("SMTP_PASSWORD would go in the clear with SMTP_SECURITY=none; take starttls or tls")
        return self


class Settings(ServiceSettings, PeerSettings, AuditSettings, NotificationSettings):
    """What the service reads."""

    stream_heartbeat_seconds: float = Field(15.0, gt=0, examples=["15"])

    # Whose health administrators are told; what isn't set is none of the platform's.
    activity_address: str = Field("", description="its own, as others reach it", examples=["localhost:50055"])
    dataset_address: str = Field("", examples=["localhost:50052"])
    generation_address: str = Field("", examples=["localhost:50053"])
    optimizer_address: str = Field("", examples=["localhost:50054"])

    @property
    def services(self) -> dict[str, str]:
        """Where each service of the platform is, by its name."""
        names = ("activity", "auth", "dataset", "generation", "optimizer")
        addresses = {name: getattr(self, f"{name}_address") for name in names}
        return {name: address for name, address in addresses.items() if address}
