"""Checks the contracts' style, and that they break no caller of the last release: `python -m protos.check`.

With `--release` the contracts as they are become what later ones must not break. buf works on descriptor sets that our
own compiler makes, and needs no network.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from protos.generate import CONTRACTS, write_descriptor_set

CONFIGURATION = CONTRACTS / "buf.yaml"
RELEASED = CONTRACTS / "released.binpb"


def buf(*arguments: str) -> int:
    """Runs buf; it says itself what is wrong. Returns its exit status."""
    program = Path(sysconfig.get_path("scripts")) / "buf"
    return subprocess.run([program, *arguments, "--config", str(CONFIGURATION)], check=False).returncode


def check() -> int:
    """Lints the contracts and compares them with the last release; returns the exit status."""
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "contracts.binpb"
        write_descriptor_set(image, with_comments=True)
        linted = buf("lint", str(image))
        compared = buf("breaking", str(image), "--against", str(RELEASED))
    return linted or compared


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", action="store_true", help="take the contracts as they are for the released ones")
    if parser.parse_args().release:
        write_descriptor_set(RELEASED)
        return 0
    return check()


if __name__ == "__main__":
    sys.exit(main())
