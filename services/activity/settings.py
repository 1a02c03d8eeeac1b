"""The activity service's settings; the only reader of its environment."""

from pathlib import Path

from pydantic import Field
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


class Settings(ServiceSettings, PeerSettings, AuditSettings):
    """What the service reads."""

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
