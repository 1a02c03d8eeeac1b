"""The whole platform on this machine, running."""

import asyncio
import os
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from deploy.local.conductor import Conductor, PlatformFailed, Report
from deploy.local.home import Home, RunningPlatform
from deploy.local.parts import Backing, backing, check_settings, compose, gateway_address, gateway_settings, gateway_url
from deploy.local.ports import is_taken
from deploy.local.scraping import announce_metrics
from deploy.local.settings import LocalSettings
from deploy.local.supervision import ProcessState, Supervisor


class LocalPlatform:
    """The platform, as an asynchronous context manager: it starts on entering and stops on leaving.

    Entering raises `AlreadyRunning` where another platform uses the same MIRAGE_HOME, and `PlatformFailed` where the
    gateway's port is taken or a part doesn't start.
    """

    url: str  # where the gateway serves, without a slash at the end
    grpc_address: str  # the same for native gRPC: host and port
    base: Backing  # what the services stand on
    supervisor: Supervisor  # keeps the parts running

    def __init__(self, settings: LocalSettings, environment: Mapping[str, str], report: Report) -> None:
        """`environment` is what every service gets besides what the platform decides."""
        self._settings = settings
        self._environment = environment
        self._report = report
        self._stack = AsyncExitStack()
        self._watching: asyncio.Task[None]
        self.home = Home(settings.mirage_home)

    async def __aenter__(self) -> Self:
        """Starts everything; where that fails, or is cancelled, nothing is left running."""
        try:
            await self._start()
        except BaseException as error:
            if isinstance(error, PlatformFailed):
                self._report("A part doesn't start; the others are stopped.")
            await _to_the_end(self._stack.aclose())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops everything; returns when no process is left."""
        await _to_the_end(self._stack.aclose())

    async def states(self) -> dict[str, ProcessState]:
        """The process of each part, by name."""
        return await self.supervisor.states()

    async def wait_until_lost(self) -> None:
        """Waits for as long as the platform can keep itself up: until its supervisor was killed."""
        await asyncio.wait([self._watching])

    async def _start(self) -> None:
        if self.home.path.exists():  # whoever runs here already has the port, too, and is what to tell of
            lock = self._stack.enter_context(self.home.locked())
            refuse_taken_port(self._settings)
        else:
            refuse_taken_port(self._settings)
            lock = self._stack.enter_context(self.home.locked())
        self.base = backing(self._settings, self.home, self._environment)
        self._stack.callback(self.base.postgres.tidy)
        check_settings(self.base)
        gateway = gateway_settings(self.base)
        self.grpc_address = gateway_address(gateway)
        self.url = gateway_url(gateway)
        for doubt in gateway.doubts:
            self._report(doubt)
        parts = compose(self.base, gateway)
        self.supervisor = Supervisor(
            [part.program for part in parts],
            self.home,
            log_rotation_size_mb=self._settings.log_rotation_size_mb,
            log_backup_count=self._settings.log_backup_count,
        )
        conductor = Conductor(parts, self.supervisor, self.home.logs, self._report)
        self._stack.push_async_callback(conductor.stop)
        await conductor.start(keep_open=lock)
        self._watching = asyncio.create_task(conductor.watch())
        self._stack.push_async_callback(stop_task, self._watching)
        announce_metrics(self.home, self.base.metrics_ports)
        self._stack.callback(self.home.metrics.unlink, missing_ok=True)
        self.home.announce(RunningPlatform(os.getpid(), self.url))
        self._stack.callback(self.home.announcement.unlink, missing_ok=True)


@contextmanager
def running_platform(
    settings: LocalSettings, environment: Mapping[str, str], report: Report
) -> Iterator[tuple[LocalPlatform, BlockingPortal]]:
    """The platform, for callers without an event loop: one in a thread takes care of it, reached by the portal."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(LocalPlatform(settings, environment, report)) as platform,
    ):
        yield platform, portal


def refuse_taken_port(settings: LocalSettings) -> None:
    """Makes sure that the gateway can have its port.

    Raises:
        PlatformFailed: another program listens there.
    """
    port = settings.mirage_port
    if port and is_taken(settings.gateway_host, port):
        raise PlatformFailed(
            f"Port {port} on {settings.gateway_host} is taken by another program. "
            f"Set MIRAGE_PORT to a free one, for example: MIRAGE_PORT={port + 1} make run"
        )


async def _to_the_end(stopping: Coroutine[Any, Any, None]) -> None:
    """Waits until all is stopped, whoever wants to cancel that: all they could want is that it stops."""
    task = asyncio.create_task(stopping)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


async def stop_task(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
