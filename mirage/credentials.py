"""Where tokens are kept between calls: in memory, or in a file that several programs share."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Tokens:
    """What signing in gave."""

    access_token: str
    refresh_token: str
    expire_time: float
    """When the access token expires, in seconds since 1970-01-01 UTC."""
    email: str
    """Whose they are."""


class CredentialStore(Protocol):
    """Keeps one user's tokens for each platform, by its URL."""

    def load(self, url: str) -> Tokens | None:
        """Returns the tokens for a platform, if there are any."""
        ...

    def save(self, url: str, tokens: Tokens) -> None:
        """Keeps tokens in place of those that were there; called inside `locked`."""
        ...

    def remove(self, url: str) -> None:
        """Forgets a platform's tokens; called inside `locked`."""
        ...

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps everybody else who shares the store from changing it; may wait."""
        ...


class MemoryCredentialStore:
    """Forgets everything when the program ends."""

    def __init__(self) -> None:
        self._tokens: dict[str, Tokens] = {}

    def load(self, url: str) -> Tokens | None:
        """Returns the tokens for a platform, if there are any."""
        return self._tokens.get(url)

    def save(self, url: str, tokens: Tokens) -> None:
        """Keeps tokens in place of those that were there."""
        self._tokens[url] = tokens

    def remove(self, url: str) -> None:
        """Forgets a platform's tokens."""
        self._tokens.pop(url, None)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Has nobody to wait for: a client renews its tokens one at a time anyway."""
        yield


class FileCredentialStore:
    """Keeps tokens in a file that only its owner can read; programs that share it take turns.

    Without a path it is the file of the command line: whoever signed in with `mirage login` is signed in here too.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()

    def load(self, url: str) -> Tokens | None:
        """Returns the tokens for a platform, if there are any; a damaged file counts as empty."""
        try:
            kept = self._read()[url]
            return Tokens(
                access_token=str(kept["access_token"]),
                refresh_token=str(kept["refresh_token"]),
                expire_time=float(kept["expire_time"]),
                email=str(kept["email"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def save(self, url: str, tokens: Tokens) -> None:
        """Keeps tokens in place of those that were there."""
        self._write({**self._read(), url: asdict(tokens)})

    def remove(self, url: str) -> None:
        """Forgets a platform's tokens."""
        kept = self._read()
        if kept.pop(url, None) is not None:
            self._write(kept)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Waits until no other program changes the file."""
        from filelock import FileLock

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock"), mode=0o600, thread_local=False):
            yield

    def _read(self) -> dict[str, dict[str, str | float]]:
        try:
            kept = json.loads(self.path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, kept: dict[str, dict[str, str | float]]) -> None:
        # A new file in place of the old one: a reader never sees half of it. mkstemp makes it private from the start.
        descriptor, name = tempfile.mkstemp(prefix=".credentials-", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=2)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def default_path() -> Path:
    """Returns where the command line keeps its tokens."""
    from platformdirs import user_config_path

    return user_config_path("mirage") / "credentials.json"
