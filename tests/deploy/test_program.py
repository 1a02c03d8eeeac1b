"""Programs and how they are launched."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.ports import free_port, is_taken
from deploy.local.program import LAUNCHER, Program, launch_file, running


def test_environment_is_only_what_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program gets its own environment and nothing of ours, and makes private files; the launch file is private."""
    monkeypatch.setenv("SECRET_OF_OURS", "secret")
    code = "import json, os; print(json.dumps([dict(os.environ), os.umask(0), os.getcwd()]))"
    program = Program("shower", (sys.executable, "-I", "-c", code), {"NAME": "a value"})
    with running(program, tmp_path, tmp_path / "log") as process:
        assert process.wait(30) == 0
    environment, umask, directory = json.loads((tmp_path / "log").read_text())
    assert environment["NAME"] == "a value"
    assert "SECRET_OF_OURS" not in environment
    assert umask == 0o077
    assert directory == str(Path.cwd())
    assert launch_file(tmp_path, "shower").stat().st_mode & 0o777 == 0o600


def test_program_ends_with_its_parent(tmp_path: Path) -> None:
    """A launched program gets its signal when its parent is killed in a way that leaves no time for anything."""
    program = Program("sleeper", (sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"))
    launch = program.write_launch_file(tmp_path)
    code = (
        "import subprocess, sys; "
        "p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True); "
        "p.stdout.readline(); print(p.pid, flush=True); p.wait()"
    )
    command = [sys.executable, "-c", code, sys.executable, LAUNCHER, str(launch)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive


def test_free_ports_differ_and_can_be_listened_on() -> None:
    """Ports that were given out before anybody listens on them are all different, and free to listen on by name."""
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert not is_taken("127.0.0.1", ports[0])
    with socket.create_server(("127.0.0.1", ports[0])):
        assert is_taken("127.0.0.1", ports[0])
