"""Starting, watching and stopping parts, with a real supervisor and small real programs."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from deploy.local.conductor import Conductor, PlatformFailed
from deploy.local.home import Home
from deploy.local.part import Part
from deploy.local.ports import free_port
from deploy.local.probes import listens, until
from deploy.local.program import Program
from deploy.local.supervision import Supervisor

# Listens on a port; writes when it starts and when it is asked to stop.
SERVER = """
import signal, socket, sys, time
name, port, trace = sys.argv[1:]
def note(what):
    with open(trace, "a") as file:
        file.write(f"{what} {name}\\n")
def stop(*_):
    note("stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("start")
print(f"{name} serves", flush=True)
listener = socket.create_server(("127.0.0.1", int(port)))
while True:
    listener.accept()[0].close()
"""


def server(name: str, trace: Path, *, starts_after: tuple[str, ...] = ()) -> Part:
    """A part that is a small TCP server."""
    port = free_port()

    async def probe() -> bool:
        return await listens("127.0.0.1", port)

    command = (sys.executable, "-c", SERVER, name, str(port), str(trace))
    return Part(name, Program(name, command), probe, starts_after=starts_after)


def notes(trace: Path) -> list[str]:
    """What the servers wrote, in order."""
    return trace.read_text().splitlines()


@asynccontextmanager
async def conducted(
    parts: Sequence[Part], home: Home, report: Callable[[str], None], *, log_backup_count: int = 1
) -> AsyncIterator[Supervisor]:
    """The parts, started and watched, as long as the context lasts."""
    with home.locked() as lock:
        supervisor = Supervisor(
            [part.program for part in parts],
            home,
            log_rotation_size_mb=1,
            log_backup_count=log_backup_count,
        )
        conductor = Conductor(parts, supervisor, home.logs, report)
        try:
            await conductor.start(lock)
            watch = asyncio.create_task(conductor.watch())
            yield supervisor
            watch.cancel()
        finally:
            await conductor.stop()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh MIRAGE_HOME."""
    return Home(tmp_path / "home with a 100% odd # name")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """What the servers write about their lives."""
    return tmp_path / "trace"


async def test_order(home: Home, trace: Path) -> None:
    """A part starts when what it needs serves, stops before it, and leaves no process behind."""
    lines: list[str] = []
    parts = [
        server("first", trace),
        server("second", trace, starts_after=("first",)),
        server("third", trace, starts_after=("second",)),
    ]
    async with conducted(parts, home, lines.append) as supervisor:
        states = await supervisor.states()
        assert all(psutil.pid_exists(states[part.title].process_id) for part in parts)
    assert notes(trace) == [
        *("start first", "start second", "start third"),
        *("stop third", "stop second", "stop first"),
    ]
    assert not any(psutil.pid_exists(state.process_id) for state in states.values())
    assert [line.split()[:2] for line in lines] == [
        *(["first", "ready"], ["second", "ready"], ["third", "ready"]),
        *(["third", "stopped"], ["second", "stopped"], ["first", "stopped"]),
    ]
    assert "second serves" in (home.logs / "second.log").read_text()


async def test_restart(home: Home, trace: Path) -> None:
    """A part that is killed runs again, and one line tells of its death, another of its return."""
    lines: list[str] = []
    part = server("lonely", trace)

    async def recovered() -> bool:
        return any("ready again" in line for line in lines)

    async with conducted([part], home, lines.append) as supervisor:
        before = (await supervisor.states())["lonely"].process_id
        os.kill(before, signal.SIGKILL)
        await until(recovered, 60)
        assert (await supervisor.states())["lonely"].process_id not in {0, before}
        assert await part.probe()
    assert len([line for line in lines if line.startswith("lonely died (terminated by SIGKILL)")]) == 1


async def test_part_that_cannot_start(home: Home, trace: Path) -> None:
    """A part that ends at once stops the start; the error shows its last words, and what ran is stopped."""

    async def never() -> bool:
        return False

    command = (sys.executable, "-c", "import sys; sys.exit('the reason why')")
    broken = Part("broken", Program("broken", command), never, starts_after=("first",))
    with pytest.raises(PlatformFailed, match="the reason why"):
        async with conducted([server("first", trace), broken], home, lambda _: None):
            pytest.fail("it started")
    assert notes(trace) == ["start first", "stop first"]


async def test_part_that_does_not_serve(home: Home, trace: Path) -> None:
    """A part that runs but doesn't serve in time stops the start."""

    async def never() -> bool:
        return False

    command = (sys.executable, "-c", "import signal; signal.pause()")
    mute = Part("mute", Program("mute", command), never, start_timeout_seconds=0.5)
    with pytest.raises(PlatformFailed, match="doesn't serve after"):
        async with conducted([mute], home, lambda _: None):
            pytest.fail("it started")


async def test_stubborn_part_is_killed(home: Home) -> None:
    """A part that ignores the request to stop is killed after its time."""
    port = free_port()
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVER.replace("signal.signal", "id or str")
    command = (sys.executable, "-c", code, "stubborn", str(port), os.devnull)

    async def probe() -> bool:
        return await listens("127.0.0.1", port)

    part = Part("stubborn", Program("stubborn", command, stop_wait_seconds=1), probe)
    async with conducted([part], home, lambda _: None) as supervisor:
        process = psutil.Process((await supervisor.states())["stubborn"].process_id)
    assert not process.is_running()


STARTER = """
import asyncio, sys
from pathlib import Path
from deploy.local.home import Home
from tests.deploy.test_conductor import conducted, server

async def main():
    home, trace = Home(Path(sys.argv[1])), Path(sys.argv[2])
    parts = [server("first", trace), server("second", trace, starts_after=("first",))]
    async with conducted(parts, home, print) as supervisor:
        states = await supervisor.states()
        print("running", *(states[part.title].process_id for part in parts), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("victim", ["starter", "supervisor"])
def test_nothing_is_orphaned(home: Home, trace: Path, victim: str) -> None:
    """When the starter, or the supervisor, is killed by SIGKILL, every part stops and the home is free again."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", STARTER, str(home.path), str(trace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as starter:
        assert starter.stdout
        running = next(line for line in starter.stdout if line.startswith("running")).split()[1:]
        parts = [psutil.Process(int(number)) for number in running]
        supervisor = parts[0].parent()
        assert supervisor
        (supervisor if victim == "supervisor" else psutil.Process(starter.pid)).kill()
        _, alive = psutil.wait_procs(parts, timeout=60)
        starter.kill()
    assert not alive
    _, alive = psutil.wait_procs([supervisor], timeout=60)
    assert not alive
    assert notes(trace)[:2] == ["start first", "start second"]
    assert sorted(notes(trace)[2:]) == ["stop first", "stop second"]
    with home.locked():
        pass
