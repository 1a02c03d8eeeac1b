"""Logs as files: one a process, rotated by size, and never a reason to stop."""

import logging
from contextlib import suppress
from pathlib import Path

import pytest

from servicekit.log_files import LogFile, log_file
from servicekit.settings import ServiceSettings
from tests.support.servers import NO_DATABASE

LINES = 3000


def _file(process: str, path: Path) -> LogFile:
    settings = ServiceSettings(database_url=NO_DATABASE, log_file_path=path, log_rotation_size_mb=1, log_backup_count=9)
    file = log_file(process, settings)
    assert file
    return file


def _write(file: LogFile, line: str) -> None:
    file.handle(logging.makeLogRecord({"msg": line}))


def test_processes_with_one_setting(tmp_path: Path) -> None:
    """Each process has a file of its own, replicas too, rotated without a line lost, for nobody else to read."""
    logs = tmp_path / "logs"
    names = {"auth": "auth", "auth-2": "auth", "dataset": "dataset"}
    files = {name: _file(process, logs / "{process}.log") for name, process in names.items()}
    for number in range(LINES):
        for name, file in files.items():
            _write(file, f"{name} {number} {'x' * 500}")
    for name in files:
        written = [*sorted(logs.glob(f"{name}.log.*"), reverse=True), logs / f"{name}.log"]
        assert len(written) == 2
        assert all(path.stat().st_mode & 0o077 == 0 for path in written)
        lines = [line.split() for path in written for line in path.read_text().splitlines()]
        assert [(line[0], int(line[1])) for line in lines] == [(name, number) for number in range(LINES)]


def test_a_name_without_a_place(tmp_path: Path) -> None:
    """Where the name has no place for the process, its name is put before the suffix."""
    _write(_file("auth", tmp_path / "mirage.log"), "here")
    assert (tmp_path / "mirage.auth.log").read_text() == "here\n"


def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a log can't be written its lines are lost, which is said once; then they are kept again."""
    log = tmp_path / "auth.log"
    log.symlink_to("/dev/full")
    file = _file("auth", tmp_path / "{process}.log")
    for number in range(20):
        _write(file, f"lost {number}")
    assert capsys.readouterr().err == f"{log} can't be written: No space left on device. Its lines are lost.\n"
    log.unlink()
    with suppress(OSError):
        file.close()
    _write(file, "kept")
    assert log.read_text() == "kept\n"
