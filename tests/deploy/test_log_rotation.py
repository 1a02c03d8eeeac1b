"""The parts' logs, as supervisord writes them: rotated by size, between two lines."""

import errno
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local.home import Home
from deploy.local.part import Part
from deploy.local.program import Program
from deploy.local.whole_lines import WholeLineFile
from tests.deploy.test_conductor import conducted

# Writes lines of JSON in pieces that end anywhere, some of them longer than a pipe takes at once.
WRITER = """
import json, os, sys, time
name, count = sys.argv[1], int(sys.argv[2])
content = b"".join(
    json.dumps({"name": name, "number": number, "text": "x" * (100_000 if number % 97 == 0 else 700)}).encode() + b"\\n"
    for number in range(count)
)
while content:
    content = content[os.write(1, content[:3001]):]
while True:
    time.sleep(60)
"""
LINES = 1800


async def test_no_line_is_lost(tmp_path: Path) -> None:
    """Whatever parts write at once, each log's files hold all its lines, whole, in order, and nobody else's."""
    home = Home(tmp_path / "home")

    def written(name: str) -> list[Path]:
        numbered = sorted(home.logs.glob(f"{name}.log.*"), key=lambda path: -int(path.suffix[1:]))
        return [*numbered, home.logs / f"{name}.log"]

    def part(name: str) -> Part:
        async def probe() -> bool:
            files = written(name)
            return files[-1].exists() and sum(path.read_bytes().count(b"\n") for path in files) == LINES

        return Part(name, Program(name, (sys.executable, "-c", WRITER, name, str(LINES))), probe)

    async with conducted([part("one"), part("two")], home, print, log_backup_count=50):
        pass
    for name in ("one", "two"):
        files = written(name)
        assert len(files) > 2
        assert all(path.stat().st_mode & 0o077 == 0 for path in files)
        lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        assert [(line["name"], line["number"]) for line in lines] == [(name, number) for number in range(LINES)]


def test_a_full_disk_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While there is no room lines are lost, which is said once; once there is room, lines are kept again."""
    log = tmp_path / "one.log"
    log.symlink_to("/dev/full")
    file = WholeLineFile(str(log), "ab", 1000, 2)
    for number in range(5):
        file.emit(SimpleNamespace(msg=f"lost {number}\n".encode(), kw={}))
    told = capsys.readouterr().err
    assert told.count(os.strerror(errno.ENOSPC)) == 1
    log.unlink()
    file.reopen()
    file.emit(SimpleNamespace(msg=b"kept\n", kw={}))
    assert log.read_text() == "kept\n"
