"""One part of the platform: a program, and its place among the others."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deploy.local.probes import Probe
from deploy.local.program import Program

_START_TIMEOUT_SECONDS = 120  # generous: the machine may be busy with anything


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Part:
    """What is run, when it may start, and how to see that it serves."""

    title: str
    program: Program
    probe: Probe
    needs: tuple[str, ...] = ()  # programs that must be ready before it is prepared
    prepare: Callable[[], Awaitable[None]] = _nothing  # not done again when it is restarted
    starts_after: tuple[str, ...] = ()  # programs that must be ready before it is started
    complete: Callable[[], Awaitable[None]] = _nothing  # once it serves, before it counts as ready
    prepare_to_stop: Callable[[], Awaitable[None]] = _nothing  # before any part is stopped
    start_timeout_seconds: float = _START_TIMEOUT_SECONDS
