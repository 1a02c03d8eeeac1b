"""The activity service's settings; the only reader of its environment."""

from servicekit.settings import PeerSettings, ServiceSettings


class Settings(ServiceSettings, PeerSettings):
    """What the service reads."""
