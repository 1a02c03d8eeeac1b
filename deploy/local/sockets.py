"""Directories for Unix sockets: private, and with a path short enough for the kernel."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

_LONGEST_DIRECTORY = 80  # bytes; the kernel takes 107 for the whole path of a socket


class DirectoryNotOurs(Exception):
    """Somebody else made a directory that has to be private."""


def short_directory(preferred: Path) -> Path:
    """The directory itself, or where its path is too long for sockets, one in the system's temporary directory.

    The name is derived, so that another process with the same need finds it, and tells of no path.
    """
    if len(os.fsencode(preferred.absolute())) <= _LONGEST_DIRECTORY:
        return preferred.absolute()
    digest = hashlib.sha256(os.fsencode(preferred.absolute())).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mirage-{os.getuid()}-{digest}"


def remove_if_elsewhere(directory: Path, preferred: Path) -> None:
    """Removes a directory that `short_directory` put in the system's temporary one, once nobody uses it any more."""
    if directory != preferred.absolute():
        shutil.rmtree(directory, ignore_errors=True)


def make_private(directory: Path, owners: Collection[int] = ()) -> None:
    """Makes a private directory, which may lie in one that all users share.

    Raises:
        DirectoryNotOurs: it is there and belongs neither to us nor to `owners` (user ids).
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid not in {os.getuid(), *owners}:
        raise DirectoryNotOurs(f"{directory} is somebody else's. Remove it, or set TMPDIR to a directory of your own.")
