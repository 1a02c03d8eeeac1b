"""Private directories: gone with their work, and with their process however it ends."""

import subprocess
import sys
from pathlib import Path

from servicekit.workspace import open_workspace

_DIES_AT_WORK = """
import os, sys
from pathlib import Path
from servicekit.workspace import open_workspace

with open_workspace(Path(sys.argv[1])) as workspace, workspace.directory() as directory:
    (directory / "half-done").write_text("rows")
    os._exit(1)
"""


def test_work_leaves_nothing(tmp_path: Path) -> None:
    """A piece of work's directory is private and goes with the work; the workspace goes with its block."""
    with open_workspace(tmp_path) as workspace:
        with workspace.directory() as directory:
            (directory / "file").write_text("rows")
            assert directory.stat().st_mode & 0o077 == 0
        assert not directory.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_dead_processes_leave(tmp_path: Path) -> None:
    """What a process left that died at work is removed by the next; what a living one has stays."""
    with open_workspace(tmp_path) as living, living.directory() as kept:
        subprocess.run([sys.executable, "-c", _DIES_AT_WORK, str(tmp_path)], check=False)
        assert list(tmp_path.rglob("half-done"))
        with open_workspace(tmp_path):
            assert not list(tmp_path.rglob("half-done"))
        assert kept.exists()
