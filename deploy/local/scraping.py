"""Where this platform's processes tell their metrics, in one file that Prometheus reads (`file_sd_configs`)."""

import json
from collections.abc import Mapping

from deploy.local.home import Home
from deploy.local.program import write_private


def announce_metrics(home: Home, ports: Mapping[str, int]) -> None:
    """Writes where each process tells its metrics; `ports` are of loopback, by the process's name.

    A target's label `part` is that name, so that a series tells which process it is of wherever that listens.
    """
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"part": part}} for part, port in ports.items()]
    write_private(home.metrics, json.dumps(targets, indent=1))
