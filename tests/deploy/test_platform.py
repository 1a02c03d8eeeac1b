"""The whole platform on one machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pandas as pd
import psutil
import pytest

import mirage
from deploy.local.ports import free_port
from deploy.local.services import SERVICES
from tests.support.certificates import Authority
from tests.support.platform import PlatformForTests

ROOT = Path(__file__).resolve().parents[2]
SESSION_PLATFORM = pytest.mark.xdist_group("platform")
ACCOUNT = {"email": "ada@example.org", "password": "correct horse battery staple", "display_name": "Ada"}
_DEADLINE_SECONDS = 120


def status_of(url: str) -> int:
    """The status with which a URL answers."""
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310 - a URL of ours
            return int(answer.status)
    except HTTPError as error:
        return error.code


def post(url: str, body: dict[str, str]) -> int:
    """The status with which a POST is answered."""
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310 - ours
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            return int(answer.status)
    except HTTPError as error:
        return error.code


def processes_of(home: Path) -> list[psutil.Process]:
    """Processes that have to do with a MIRAGE_HOME, by their arguments or their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(str(home) in word for word in words) and process.pid != os.getpid():
            found.append(process)
    return found


@SESSION_PLATFORM
def test_it_serves(platform: PlatformForTests) -> None:
    """Every part becomes ready, each in one line, the gateway last; the health check and the documentation answer."""
    ready = [line.split("  ")[1] for line in platform.lines if " ready " in line]
    assert set(ready) == {
        *("PostgreSQL", "object store", "gateway"),
        *("activity", "auth", "dataset", "generation", "generation worker", "optimizer"),
    }
    assert ready[-1] == "gateway"
    assert status_of(f"{platform.url}/health") == 200
    assert status_of(f"{platform.url}/docs") == 200


@SESSION_PLATFORM
@pytest.mark.parametrize("part", ["auth", "gateway", "postgres"])
def test_dead_part_returns(platform: PlatformForTests, part: str) -> None:
    """A part that is killed is started again, and then the platform is healthy as before."""
    before = platform.states()[part].process_id
    psutil.Process(before).kill()
    title = "PostgreSQL" if part == "postgres" else part

    def returned() -> bool:
        return any(title in line and "ready again" in line for line in platform.lines)

    wait_until(returned)
    assert platform.states()[part].process_id != before
    assert any(line.startswith(f"{title} died") for line in platform.lines)
    wait_until(lambda: status_of(f"{platform.url}/health") == 200)


@SESSION_PLATFORM
def test_no_secret_in_arguments(platform: PlatformForTests) -> None:
    """Other users of the machine, who can list its processes, see no password, key or secret."""
    credentials = platform.platform.base.credentials
    secrets = [credentials.postgres_administrator, credentials.object_store]
    secrets += [*credentials.postgres.values(), *credentials.services.values()]
    arguments = "\n".join(" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    assert not [secret for secret in secrets if secret in arguments]


@SESSION_PLATFORM
def test_logs_hold_no_secret(platform: PlatformForTests) -> None:
    """No log holds a password, a key or a secret of the platform's own."""
    credentials = platform.platform.base.credentials
    secrets = [credentials.postgres_administrator, credentials.object_store]
    secrets += [*credentials.postgres.values(), *credentials.services.values()]
    for log in platform.platform.home.logs.glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], log


@SESSION_PLATFORM
def test_logs_are_private(platform: PlatformForTests) -> None:
    """Nobody but the owner can read what the parts wrote down."""
    logs = list(platform.platform.home.logs.iterdir())
    assert {"auth.log", "gateway.log", "supervisord.log"} <= {log.name for log in logs}
    assert not [log for log in logs if log.stat().st_mode & 0o077]


@SESSION_PLATFORM
def test_one_request_in_every_log(platform: PlatformForTests) -> None:
    """What is done for a request after its answer is logged under its id, in the shape that every log has."""
    with mirage.Client(platform.url) as client:
        client.register("grace@example.org", "correct horse battery staple", "Grace")
        client.login("grace@example.org", "correct horse battery staple")
        dataset = client.datasets.upload(pd.DataFrame({"a": range(30), "b": list("xyz") * 10}))
        job = client.generate(dataset, model="gaussian_copula", rows=5)
    logs = platform.platform.home.logs
    worked = [line for line in _lines(logs / "generation-worker.log") if line["metadata"].get("job_id") == job.id]
    ingested = [line for line in _lines(logs / "dataset.log") if line["metadata"].get("dataset_id") == dataset.id]

    def requests_logged() -> dict[str, dict[str, Any]]:
        return {line["request_id"]: line for line in _lines(logs / "gateway.log") if line["message"] == "request"}

    # Envoy writes its log from time to time.
    wait_until(lambda: {line["request_id"] for line in [*worked, *ingested]} <= requests_logged().keys())
    requests = requests_logged()
    assert {requests[line["request_id"]]["rpc"] for line in worked} == {"JobService.StartJob"}
    assert {requests[line["request_id"]]["rpc"] for line in ingested} == {"DatasetService.UploadDataset"}
    assert {line["level"] for line in [*worked, *ingested, *requests.values()]} == {"info"}


def _lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that are JSON."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@SESSION_PLATFORM
def test_administrator_command(platform: PlatformForTests) -> None:
    """The command that makes the first administrator works while the platform runs, by the home alone."""
    home = platform.platform.home.path
    command = [sys.executable, "-m", "deploy.local", "exec", "auth", "--", "python", "-m", "services.auth.admin"]
    made = subprocess.run(
        [*command, "create", "--email", "root@example.org"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "root@example.org" in made.stdout


@SESSION_PLATFORM
def test_second_start_is_refused(platform: PlatformForTests) -> None:
    """A second start on the same MIRAGE_HOME says where the first one is, and leaves it alone; so does db reset."""
    home = platform.platform.home.path
    for arguments in ([], ["db", "reset", "--yes"]):
        second = subprocess.run(
            [sys.executable, "-m", "deploy.local", *arguments],
            env=environment(home, MIRAGE_PORT="0"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert platform.url in second.stderr
        assert "MIRAGE_HOME" in second.stderr
    assert status_of(f"{platform.url}/health") == 200


def test_taken_port_is_named(tmp_path: Path) -> None:
    """Where the gateway's port is taken, the start is refused at once, naming the port and the setting."""
    port = free_port()
    with listening(port):
        start = subprocess.run(
            [sys.executable, "-m", "deploy.local"],
            env=environment(tmp_path / "home", MIRAGE_PORT=str(port)),
            capture_output=True,
            text=True,
            check=False,
        )
    assert start.returncode == 1
    assert f"Port {port}" in start.stderr
    assert "MIRAGE_PORT" in start.stderr
    assert not (tmp_path / "home").exists()


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    """Settings that are wrong stop the start with the name, the fault and an example of each."""
    start = subprocess.run(
        [sys.executable, "-m", "deploy.local"],
        env=environment(tmp_path / "home", MIRAGE_PORT="http", LOG_BACKUP_COUNT="-1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert start.returncode == 2
    assert "MIRAGE_PORT" in start.stderr
    assert "Example: MIRAGE_PORT=" in start.stderr
    assert "LOG_BACKUP_COUNT" in start.stderr


def test_wrong_settings_of_services_are_named(tmp_path: Path) -> None:
    """What only a service reads is checked before anything is started, and all of it is told at once."""
    start = subprocess.run(
        [sys.executable, "-m", "deploy.local"],
        env=environment(tmp_path / "home", MIRAGE_PORT="0", LOG_LEVEL="loud", WORKER_SLOTS="0", MAX_FILE_SIZE_MB="-1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert start.returncode == 2
    assert "ready" not in start.stdout
    for name in ("LOG_LEVEL", "WORKER_SLOTS", "MAX_FILE_SIZE_MB"):
        assert start.stderr.count(f"  {name}: ") == 1


def test_wrong_certificates_are_named(tmp_path: Path) -> None:
    """Certificates that wouldn't do are told with their file and fault before anything is started."""
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    gateway, other = authority.issue("localhost"), authority.issue("elsewhere.example")
    for settings, fault in (
        (authority.internal_tls("127.0.0.1") | {"INTERNAL_TLS_CA_FILE": str(stranger.file)}, str(stranger.file)),
        ({"TLS_CERT_FILE": str(gateway.file), "TLS_KEY_FILE": str(other.key)}, f"{other.key} is not the key of"),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "deploy.local"],
            env=environment(tmp_path / "home", MIRAGE_PORT="0", **settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 2
        assert fault in result.stderr
        assert result.stderr.count("\n") == 2
    assert not (tmp_path / "home" / "data" / "postgres").exists()


def test_settings_from_a_file(tmp_path: Path) -> None:
    """Settings are read from `.env` where there is one; the environment has the last word."""
    (tmp_path / ".env").write_text("MIRAGE_PORT=http\nLOG_BACKUP_COUNT=several\n")
    start = subprocess.run(
        [sys.executable, "-m", "deploy.local"],
        cwd=tmp_path,
        env=environment(tmp_path / "home", LOG_BACKUP_COUNT="5"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert start.returncode == 2
    assert "MIRAGE_PORT" in start.stderr
    assert "LOG_BACKUP_COUNT" not in start.stderr


@pytest.mark.slow
def test_second_start_finds_everything(tmp_path: Path) -> None:
    """By Ctrl-C everything stops, in order and without a process left; a second start finds the data again."""
    home = tmp_path / "home"
    ports = set()
    for number in (1, 2):
        with served(home) as (starter, url):
            ports.add(json.loads((home / "run" / "dataset.launch.json").read_text())["environment"]["S3_ENDPOINT"])
            if number == 1:
                assert post(f"{url}/auth/register", ACCOUNT) in {200, 201}
            assert post(f"{url}/auth/login", {name: ACCOUNT[name] for name in ("email", "password")}) == 200
            starter.send_signal(signal.SIGINT)
            output, _ = starter.communicate(timeout=_DEADLINE_SECONDS)
        assert starter.returncode == 0
        stopped = [line.split("  ")[1] for line in output.splitlines() if " stopped " in line]
        assert stopped[0] == "generation worker"
        assert stopped[-3:] == ["gateway", "object store", "PostgreSQL"]
        assert not processes_of(home)
    assert not [path for path in (home / "secrets").rglob("*") if path.stat().st_mode & 0o077]
    assert len(ports) == 1, "signed URLs outlive a restart"


@pytest.mark.slow
def test_interrupted_start_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the start, even twice, stops what had been started; no process is left."""
    home = tmp_path / "home"
    with started(home) as starter:
        assert starter.stdout
        next(line for line in starter.stdout if "PostgreSQL" in line)
        starter.send_signal(signal.SIGINT)
        next(line for line in starter.stdout if " stopped " in line)
        starter.send_signal(signal.SIGINT)
        starter.communicate(timeout=_DEADLINE_SECONDS)
    assert starter.returncode == 0
    assert not processes_of(home)


@pytest.mark.slow
def test_killed_starter_leaves_nothing(tmp_path: Path) -> None:
    """When the starter is killed by SIGKILL everything stops all the same, and the next start works."""
    home = tmp_path / "home"
    with served(home) as (starter, _):
        starter.kill()
        starter.wait()
        wait_until(lambda: not processes_of(home))
    with served(home) as (starter, url):
        assert status_of(f"{url}/health") == 200
        starter.terminate()
        starter.communicate(timeout=_DEADLINE_SECONDS)
    assert not processes_of(home)


@pytest.mark.slow
def test_migrations_without_a_running_platform(tmp_path: Path) -> None:
    """Every migration runs forward, backward and forward again, and all data can be reset, by commands alone."""
    home = tmp_path / "home"

    def database(*arguments: str) -> str:
        command = [sys.executable, "-m", "deploy.local", "db", *arguments]
        result = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert database("upgrade").count("(head)") == len(SERVICES)
    assert database("downgrade", "--revision", "base").count("(head)") == 0
    assert database("upgrade", "--service", "auth").count("(head)") == 1
    assert database("current").count("(head)") == 1
    assert database("upgrade").count("(head)") == len(SERVICES)
    assert "(current)" in database("history")
    database("reset", "--yes")
    assert database("current").count("(head)") == len(SERVICES)
    assert not processes_of(home)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a command on this home."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "MIRAGE_HOME": str(home), **settings}


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Another program on a port."""
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as program:
        assert program.stdout
        program.stdout.readline()
        yield
        program.kill()


@contextmanager
def started(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`make run` on this home, which may still be starting."""
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local"],
        env=environment(home, MIRAGE_PORT="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as starter:
        try:
            yield starter
        finally:
            if starter.poll() is None:
                starter.terminate()


@contextmanager
def served(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`make run` on this home, once it serves; yields the process and the address from its banner."""
    with started(home) as starter:
        assert starter.stdout
        lines = []
        for line in starter.stdout:
            lines.append(line)
            if line.startswith("  Address"):
                yield starter, line.split()[1]
                return
        pytest.fail("".join(lines))


def wait_until(condition: object) -> None:
    """Waits until a condition holds; fails when it takes too long."""
    assert callable(condition)
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
