"""Access tokens that are refused before they expire: auth's list, followed by every other service.

While auth can't be reached the last known list stays in force and the service goes on: who was signed out before is
out, and nobody can be signed out meanwhile, since it is auth that would do it. A service that has never heard the list,
such as one that starts without auth, takes no person's token until it has.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import grpc
import grpc.aio
import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from mirage.auth.v1 import revocation_pb2, revocation_pb2_grpc
from servicekit.clients import ServiceIdentity
from servicekit.errors import Unavailable

log = structlog.get_logger(__name__)

# Auth says every second that it is there; a stream silent for longer is broken, whatever the network says.
_SILENCE_S = 4.0
_LONGEST_PAUSE_S = 1.0
_FIRST_LIST_S = 5.0
_TIDY_EVERY_S = 60.0


class Subject(Protocol):
    """Whom a token names; a `servicekit.identity.Caller` is one."""

    @property
    def subject(self) -> str:
        """The account."""
        ...

    @property
    def session_id(self) -> str:
        """The session or the API key."""
        ...

    @property
    def issued_at(self) -> float:
        """When the token was issued, in seconds since 1970."""
        ...


class Revocations:
    """What is revoked, and who waits to hear of it."""

    def __init__(self) -> None:
        self._sessions: dict[str, float] = {}  # id → when the revocation may be forgotten
        self._users: dict[str, tuple[float, float]] = {}  # id → tokens issued until when, and as above
        self._watchers: defaultdict[str, dict[object, tuple[Subject, Callable[[], None]]]] = defaultdict(dict)
        self._complete = asyncio.Event()
        self._tidied_at = time.monotonic()

    def refuses(self, subject: Subject) -> bool:
        """Whether a token is revoked."""
        if subject.session_id in self._sessions:
            return True
        user = self._users.get(subject.subject)
        return user is not None and subject.issued_at <= user[0]

    async def known(self) -> None:
        """Returns when the list is known; at once, but for a moment after the start.

        Raises:
            Unavailable: auth doesn't tell.
        """
        if self._complete.is_set():
            return
        try:
            async with asyncio.timeout(_FIRST_LIST_S):
                await self._complete.wait()
        except TimeoutError:
            raise Unavailable("auth service") from None

    @contextmanager
    def watching(self, subject: Subject, revoked: Callable[[], None]) -> Iterator[None]:
        """Calls `revoked` as soon as the token is revoked while the block runs; maybe more than once."""
        watcher = object()
        keys = {subject.session_id, subject.subject} - {""}
        for key in keys:
            self._watchers[key][watcher] = (subject, revoked)
        try:
            yield
        finally:
            for key in keys:
                del self._watchers[key][watcher]
                if not self._watchers[key]:
                    del self._watchers[key]

    def apply(self, batch: revocation_pb2.RevocationBatch) -> None:
        """Takes in what auth tells."""
        if batch.restart:
            self._sessions.clear()
            self._users.clear()
        for revocation in batch.revocations:
            self._add(revocation)
        if batch.complete:
            self._complete.set()
        if time.monotonic() - self._tidied_at >= _TIDY_EVERY_S:
            self._tidy()

    def _add(self, revocation: revocation_pb2.Revocation) -> None:
        subject_id, forget_at = revocation.subject_id, _seconds(revocation.expire_time)
        if revocation.kind == revocation_pb2.REVOCATION_KIND_SESSION:
            self._sessions[subject_id] = forget_at
        elif revocation.kind == revocation_pb2.REVOCATION_KIND_USER:
            issued_until = max(_seconds(revocation.issued_until), self._users.get(subject_id, (0.0, 0.0))[0])
            self._users[subject_id] = (issued_until, forget_at)
        for subject, revoked in list(self._watchers.get(subject_id, {}).values()):
            if self.refuses(subject):
                revoked()

    def _tidy(self) -> None:
        now = time.time()
        self._tidied_at = time.monotonic()
        self._sessions = {key: forget_at for key, forget_at in self._sessions.items() if forget_at > now}
        self._users = {key: times for key, times in self._users.items() if times[1] > now}


@asynccontextmanager
async def followed_revocations(channel: grpc.aio.Channel, identity: ServiceIdentity) -> AsyncIterator[Revocations]:
    """Auth's list, followed in the service's own name while the block runs.

    Args:
        channel: a channel to auth without credentials.
        identity: the service's own.
    """
    revocations = Revocations()
    following = asyncio.create_task(_follow(channel, identity, revocations), name="revocations")
    try:
        yield revocations
    finally:
        following.cancel()
        await asyncio.wait({following})


async def _follow(channel: grpc.aio.Channel, identity: ServiceIdentity, revocations: Revocations) -> None:
    stub = revocation_pb2_grpc.RevocationServiceStub(channel)
    resume_token, failures = "", 0
    while True:
        token = ""
        try:
            token = await identity.token()
            call = stub.WatchRevocations(
                revocation_pb2.WatchRevocationsRequest(resume_token=resume_token),
                metadata=(("authorization", f"Bearer {token}"),),
            )
            try:
                while batch := await _next_of(call):
                    revocations.apply(batch)
                    resume_token = batch.resume_token
                    if failures:
                        log.info("revocations_followed_again", after_failures=failures)
                        failures = 0
                cause = "ended"
            finally:
                call.cancel()
        except grpc.aio.AioRpcError as error:
            cause = error.code().name
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                identity.discard(token)
        except TimeoutError:
            cause = "silent"
        except Unavailable:
            cause = "auth unavailable"
        except Exception:  # whatever it is, a service that stopped following would let everybody in
            log.exception("revocations_not_followed")
            cause = "unexpected"
        failures += 1
        if failures == 1:
            log.warning("revocations_not_followed", cause=cause)
        await asyncio.sleep(_pause(failures))


async def _next_of(
    call: "grpc.aio.UnaryStreamCall[revocation_pb2.WatchRevocationsRequest, revocation_pb2.RevocationBatch]",
) -> revocation_pb2.RevocationBatch | None:
    """The next batch; None at the end of the stream. Raises TimeoutError where auth is silent for too long."""
    # Not `wait_for`, which may lose a cancellation that comes together with the answer.
    async with asyncio.timeout(_SILENCE_S):
        answer = await call.read()
    return None if answer is grpc.aio.EOF else answer  # type: ignore[return-value]  # EOF is of a type without a name


def _pause(failures: int) -> float:
    """Seconds until the next try: longer each time, up to a second, and never the same for two services."""
    return random.uniform(0.5, 1.0) * min(0.05 * 2.0 ** min(failures, 10), _LONGEST_PAUSE_S)  # noqa: S311 - not a secret


def _seconds(moment: Timestamp) -> float:
    return float(moment.seconds) + float(moment.nanos) / 1e9
