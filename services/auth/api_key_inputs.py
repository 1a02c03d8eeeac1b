"""What callers may send of API keys."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from mirage.auth.v1 import api_key_pb2
from servicekit.limits import limited
from services.auth.inputs import Input, Trimmed
from services.auth.scopes import known_scopes

Scope = Annotated[str, limited(api_key_pb2.CreateApiKeyRequest, "scopes")]
Scopes = Annotated[frozenset[Scope], Field(min_length=1), AfterValidator(known_scopes)]


class NewApiKey(Input):
    """A key to be made; `now` and `latest` are not the caller's, but what the time is held against."""

    now: datetime
    latest: datetime
    name: Annotated[str, Trimmed, limited(api_key_pb2.CreateApiKeyRequest, "name")]
    scopes: Scopes
    expire_time: datetime | None = None

    @field_validator("expire_time")
    @classmethod
    def _in_time(cls, moment: datetime | None, info: ValidationInfo) -> datetime | None:
        now, latest = info.data["now"], info.data["latest"]
        if moment is not None and not now < moment <= latest:
            raise ValueError(f"must lie ahead, and not after {latest.isoformat(timespec='seconds')}")
        return moment

    def expiry(self, default: timedelta) -> datetime:
        """When the key ends: as asked for, or after the default time, or as late as may be."""
        return self.expire_time or min(self.now + default, self.latest)
