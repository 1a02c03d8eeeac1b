"""How much memory there is, and how much a child takes."""

from pathlib import Path

import psutil

MEBIBYTE = 1 << 20
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# What trainings may take of the machine, all together.
SHARE = 0.8


def default_memory_limit_mb(slots: int) -> int:
    """What one of so many trainings may take where no setting says so: a share of what machine or container has."""
    total = psutil.virtual_memory().total
    for path in CGROUP_LIMITS:
        if Path(path).is_file() and (text := Path(path).read_text().strip()).isdigit():
            total = min(total, int(text))
    return max(1, int(total * SHARE / slots / MEBIBYTE))


def resident_mb(pid: int) -> float:
    """Resident memory, in mebibytes, of a process and all below it; 0 if it is gone."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total / MEBIBYTE
