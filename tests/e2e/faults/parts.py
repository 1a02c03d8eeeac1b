"""The platform's processes, to be killed and stopped, and what they keep on the disk."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import psutil

from mirage import Client
from mirage.errors import Unavailable
from tests.e2e.conftest import PASSWORD
from tests.support.platform import PlatformForTests

AnswerT = TypeVar("AnswerT")

_DEADLINE_S = 90


class Parts:
    """One platform's processes and files."""

    def __init__(self, platform: PlatformForTests, temporary: Path) -> None:
        self.platform = platform
        self.temporary = temporary
        self._stopped: set[str] = set()

    def process(self, name: str) -> psutil.Process:
        """A part's process."""
        return psutil.Process(self.platform.states()[name].process_id)

    def kill(self, name: str) -> None:
        """Ends a part as a power cut would; it is started again by itself."""
        self.process(name).kill()

    def stop(self, name: str) -> None:
        """Stops a part until it is started."""
        self._stopped.add(name)
        self.platform.stop_part(name)

    def start(self, name: str) -> None:
        """Starts a part that was stopped."""
        self._stopped.discard(name)
        self.platform.start_part(name)

    def restore(self) -> None:
        """Starts whatever is stopped, and waits until all is well."""
        for name in list(self._stopped):
            self.start(name)
        until(self.healthy, "the platform to be well again")

    def healthy(self) -> bool:
        """Whether the platform says that it can serve."""
        return httpx.get(f"{self.platform.url}/health", timeout=30).status_code == 200

    def objects(self, service: str, owner_id: str) -> set[str]:
        """The objects that a service keeps of an owner, below the owner's id; half-written ones too."""
        owned = self.platform.platform.home.data / "objects" / f"mirage-{service}" / owner_id
        return {str(path.relative_to(owned)) for path in owned.rglob("*") if path.is_file()}

    def work_in_progress(self) -> set[Path]:
        """The pieces of work that have files of their own on the disk just now."""
        return {
            path for space in self.temporary.glob("mirage-work-*") for path in space.iterdir() if path.name != "lock"
        }


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits until something holds; fails when it takes too long."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def answer_to(ask: Callable[[], AnswerT]) -> AnswerT:
    """What the platform answers; while it says that a part is away, it is asked again."""
    answers: list[AnswerT] = []

    def is_answered() -> bool:
        with suppress(Unavailable):
            answers.append(ask())
        return bool(answers)

    until(is_answered, "an answer")
    return answers[0]


@contextmanager
def web_client(platform: PlatformForTests, client: Client) -> Iterator[httpx.Client]:
    """The same user with HTTP requests, each tried once."""
    with httpx.Client(base_url=platform.url, timeout=60) as web:
        answer = web.post("/auth/login", json={"email": client.email, "password": PASSWORD})
        web.headers["authorization"] = f"Bearer {answer.json()['data']['access_token']}"
        yield web


def assert_unavailable(answer: httpx.Response) -> None:
    """The answer is 503 in the common shape, says when to try again, and tells nothing of what is inside."""
    assert answer.status_code == 503, answer.text
    body = answer.json()
    assert body["success"] is False
    assert body["error"]["code"] in {"UNAVAILABLE", "STREAM_MOVED", "DATASET_STILL_READING"}
    assert body["error"]["message"]
    assert "Traceback" not in answer.text
    assert "asyncpg" not in answer.text


def fresh_key() -> dict[str, str]:
    """Headers of a request that can be tried again."""
    return {"idempotency-key": uuid4().hex}
