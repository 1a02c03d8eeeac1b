"""Supervision of the platform's processes by supervisord, over its XML-RPC socket."""

import asyncio
import os
import re
import subprocess
import sys
import xmlrpc.client
from collections.abc import Sequence
from configparser import RawConfigParser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tenacity
from supervisor.xmlrpc import SupervisorTransport

from deploy.local.home import Home
from deploy.local.program import LAUNCHER, Program, open_log, python_path

_START_TIMEOUT_SECONDS = 20
_POLL_SECONDS = 0.05
_STEADY_SECONDS = 5  # one that dies sooner after its start is started again only after a pause, which grows
_RETRIES = 10  # pauses of 1, 2, … 10 seconds; afterwards we begin anew
_INTERPRETER = "MIRAGE_INTERPRETER"
_LAUNCHER = "MIRAGE_LAUNCHER"
_FIRST_PRIORITY = 100  # supervisord stops a program only when all of a higher number are gone


class SupervisorFailed(Exception):
    """supervisord could not be started."""


@dataclass(frozen=True)
class ProcessState:
    """What supervisord knows about one process."""

    name: str
    state: str  # STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN, as supervisord names them
    process_id: int  # 0 while there is none

    @property
    def is_up(self) -> bool:
        """Whether there is a process."""
        return self.state in {"STARTING", "RUNNING"}


class Supervisor:
    """A supervisord of ours with a fixed list of programs, none of which it starts by itself."""

    def __init__(
        self,
        programs: Sequence[Program],
        home: Home,
        *,
        log_rotation_size_mb: int,
        log_backup_count: int,
    ) -> None:
        """Keeps programs; they stop in the reverse of their order."""
        self._programs = programs
        self._home = home
        self._socket = home.sockets / "supervisor.sock"
        self._log = home.logs / "supervisord.log"
        self._rotation = {"maxbytes": f"{log_rotation_size_mb}MB", "backups": str(log_backup_count)}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, keep_open: int) -> None:
        """Starts supervisord. It inherits the file descriptor `keep_open` and holds it as long as it lives.

        Raises:
            SupervisorFailed: it doesn't answer.
        """
        self._socket.unlink(missing_ok=True)
        configuration = self._home.run / "supervisord.conf"
        self._write_configuration(configuration)
        with open_log(self._log) as errors:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
                [sys.executable, "-m", "deploy.local.supervise", str(configuration)],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=subprocess.STDOUT,
                pass_fds=(keep_open,),
                start_new_session=True,  # Ctrl-C is for the starter, which stops everything in order
                cwd=self._home.path,
                env={**os.environ, "PYTHONPATH": python_path(), _INTERPRETER: sys.executable, _LAUNCHER: LAUNCHER},
            )
        try:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(OSError),
                wait=tenacity.wait_fixed(0.03),
                stop=tenacity.stop_after_delay(_START_TIMEOUT_SECONDS),
                reraise=True,
            ):
                with attempt:
                    await self._call("getState")
        except OSError as error:
            raise SupervisorFailed(f"supervisord doesn't answer; see {self._log}.") from error

    async def start_program(self, name: str) -> None:
        """Starts a program; whether it works is for the caller to find out."""
        await self._call("startProcess", name, False)

    async def states(self) -> dict[str, ProcessState]:
        """All programs' processes, by name."""
        return {
            info["name"]: ProcessState(info["name"], info["statename"], info["pid"])
            for info in await self._call("getAllProcessInfo")
        }

    def last_exit(self, name: str) -> str:
        """How a program's process last ended, such as `exit status 1`."""
        ends = re.findall(rf"exited: {re.escape(name)} \(([^;)]*)", self._log.read_text(errors="replace"))
        return ends[-1] if ends else "how, the log no longer tells"

    async def stop_program(self, name: str) -> None:
        """Stops a program in its own way, by SIGKILL where it takes too long; returns when it is gone."""
        with suppress(xmlrpc.client.Fault):  # it isn't running
            await self._call("stopProcess", name, False)
        while (await self._call("getProcessInfo", name))["pid"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Stops all programs that still run, in the reverse of their order, and supervisord itself."""
        if self._process is None or self._process.stdin is None:
            return
        with suppress(OSError, xmlrpc.client.Error):  # it has ended already
            await self._call("shutdown")
        self._process.stdin.close()  # says the same, should it not have listened
        await asyncio.to_thread(self._process.wait)
        self._socket.unlink(missing_ok=True)

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await asyncio.to_thread(self._call_now, method, *arguments)

    def _call_now(self, method: str, *arguments: Any) -> Any:
        # A connection each: one that was cut off in the middle of a call is of no more use.
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://supervisor", transport=transport) as proxy:
                return getattr(proxy, f"supervisor.{method}")(*arguments)
        finally:
            transport.close()

    def _write_configuration(self, path: Path) -> None:
        # Paths are relative to MIRAGE_HOME, or come by environment variables: where they hold a "#" after a space,
        # supervisord would take it for the begin of a comment, and nothing escapes it.
        configuration = RawConfigParser()
        configuration["unix_http_server"] = {"file": self._relative(self._socket), "chmod": "0700"}
        configuration["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        configuration["supervisord"] = {
            "logfile": self._relative(self._log),
            "logfile_maxbytes": self._rotation["maxbytes"],
            "logfile_backups": self._rotation["backups"],
            "pidfile": self._relative(self._home.run / "supervisord.pid"),
            "childlogdir": self._relative(self._home.logs),
            "user": str(os.getuid()),  # who we are: said aloud, or it warns of running as root
        }
        for number, program in enumerate(self._programs):
            launch = self._relative(program.write_launch_file(self._home.run))
            configuration[f"program:{program.name}"] = {
                "command": f'"%(ENV_{_INTERPRETER})s" -I -S "%(ENV_{_LAUNCHER})s" {launch}',
                "priority": str(_FIRST_PRIORITY + number),
                "autostart": "false",
                "autorestart": "true",
                "startsecs": str(_STEADY_SECONDS),
                "startretries": str(_RETRIES),
                "stopsignal": program.stop_signal,
                "stopwaitsecs": str(program.stop_wait_seconds),
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": self._relative(self._home.logs / f"{program.name}.log"),
                "stdout_logfile_maxbytes": self._rotation["maxbytes"],
                "stdout_logfile_backups": self._rotation["backups"],
            }
        with path.open("w") as file:
            configuration.write(file)

    def _relative(self, path: Path) -> str:
        path = path.relative_to(self._home.path) if path.is_relative_to(self._home.path) else path
        return str(path).replace("%", "%%")  # which would begin an expression
