"""The whole platform for a test session: every service, the worker and the gateway, as `make run` starts them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.platform import LocalPlatform, running_platform
from deploy.local.program import launch_file
from deploy.local.settings import LocalSettings
from deploy.local.supervision import ProcessState

# Settings of ours must not decide about tests; what is left is what programs need to run.
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")
_PASSWORD = "a passphrase of four words"


@dataclass
class PlatformForTests:
    """A running platform, and what it reported."""

    platform: LocalPlatform
    states: Callable[[], dict[str, ProcessState]]  # the process of each part, by its name
    stop_part: Callable[[str], None]  # until it is started; returns when it is gone
    start_part: Callable[[str], None]
    lines: list[str] = field(default_factory=list)  # what a person would have read so far

    @property
    def url(self) -> str:
        """Where the gateway serves, without a slash at the end."""
        return self.platform.url

    @property
    def grpc_address(self) -> str:
        """Where the gateway serves native gRPC: host and port."""
        return self.platform.grpc_address

    def service_address(self, name: str) -> str:
        """Where a service itself listens, behind the gateway: host and port."""
        environment = self._launch(name)["environment"]
        return f"127.0.0.1:{environment['GRPC_PORT']}"

    def service_identity(self, name: str) -> tuple[str, str]:
        """A service's client id and secret."""
        environment = self._launch(name)["environment"]
        return environment["SERVICE_CLIENT_ID"], environment["SERVICE_CLIENT_SECRET"]

    def _launch(self, name: str) -> dict[str, Any]:
        """What a part was started with."""
        launch: dict[str, Any] = json.loads(launch_file(self.platform.home.run, name).read_text())
        return launch

    def make_administrator(self, email: str) -> str:
        """Makes an account that is an administrator; returns its password."""
        launch = self._launch("auth")
        command = [sys.executable, "-m", "services.auth.admin", "create", "--email", email, "--password-stdin"]
        subprocess.run(command, env=launch["environment"], input=_PASSWORD, text=True, check=True, capture_output=True)
        return _PASSWORD


@contextmanager
def platform_for_tests(home: Path, **settings: str) -> Iterator[PlatformForTests]:
    """A platform on a free port, with its data in `home`; `settings` are environment variables for its services."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # Hundreds of people sign up from one address here, and nobody steals their hashes.
    cheap = {"PASSWORD_HASH_MEMORY_KIB": "64", "PASSWORD_HASH_ITERATIONS": "1", "PASSWORD_HASH_LANES": "1"}
    environment = inherited | {"RATE_LIMITS": "off"} | cheap | settings
    lines: list[str] = []
    local = LocalSettings(mirage_home=home, mirage_port=0)
    with running_platform(local, environment, lines.append) as (platform, portal):
        supervisor = platform.supervisor
        yield PlatformForTests(
            platform,
            states=lambda: portal.call(platform.states),
            stop_part=lambda name: portal.call(supervisor.stop_program, name),
            start_part=lambda name: portal.call(supervisor.start_program, name),
            lines=lines,
        )
