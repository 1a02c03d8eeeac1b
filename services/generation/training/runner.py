"""Runs trainings, samplings and evaluations in child processes, for an asyncio program that holds no torch.

The first use starts a launcher, a process that has the engines' libraries imported and forks a child for every piece of
work, so that a job costs milliseconds instead of the seconds that those imports take. A spare child would do too, but
each spare costs the imports again, in processor time and memory; `multiprocessing`'s fork server would import the
worker's own program in every child, and hand its environment, secrets included, to code that unpickles models.

A child leads a process group of its own. It is ended, with everything it started, when its memory or time is used up,
when its caller is cancelled, and when the launcher goes, which goes when this process does.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pyarrow as pa
import structlog

from services.generation.engines.protocol import Failure, Progress
from services.generation.training.events import Evaluated, Progressed, Read, ScoringBroke, Trained
from services.generation.training.following import Child
from services.generation.training.spec import EvaluationSpec, SamplingSpec, TrainingSpec, TrainingSummary, WorkSpec
from services.generation.training.suggestion import out_of_memory, timed_out

OnProgress = Callable[[Progress], Awaitable[None]]

LAUNCHER = "services.generation.training.launcher"
# What of this process's environment a child gets to see; none of it is secret.
ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CUDA_VISIBLE_DEVICES",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
END_S = 5.0

logger = structlog.get_logger()


class TrainingFailed(Failure):
    """A child process didn't do its work.

    `reason` is `TRAINING_OUT_OF_MEMORY`, `JOB_TIMED_OUT`, `TRAINING_CRASHED` (it died by itself), `TRAINING_FAILED`
    (an error nobody foresaw; its trace is in the log), or one that the work itself gave: `TABLE_NOT_LEARNABLE`,
    `INVALID_CONDITIONS`, `CONDITION_TOO_RARE`, `TRAINING_DIVERGED`, `MODEL_UNREADABLE`, `TABLE_NOT_COMPARABLE`,
    `COLUMN_NOT_COMPARED`, `TOO_FEW_ROWS_TO_COMPARE`.
    """


class TrainingRunner:
    """Starts child processes, follows them and ends them."""

    def __init__(self, *, threads: int = 1) -> None:
        """`threads` is how many a child computes with; another number gives other rows for the same seed."""
        self._threads = threads
        self._launcher: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._children: set[Child] = set()

    @property
    def memory_mb(self) -> Sequence[float]:
        """Resident memory of each child that is at work, when it was last looked at."""
        return [child.memory_mb for child in tuple(self._children)]

    async def start(self) -> None:
        """Warms up, so that the first training needn't wait for imports. Without it the first training does this."""
        async with self._starting:
            if self._launcher is None or self._launcher.returncode is not None or self._control is None:
                await self._end_launcher()
                await self._start_launcher()

    async def close(self) -> None:
        """Ends every child."""
        async with self._starting:
            await self._end_launcher()

    async def train(self, spec: TrainingSpec, on_progress: OnProgress) -> TrainingSummary:
        """Trains in a child process and returns what was made.

        Cancelling the task that awaits this ends the child and all it started within two seconds. Raises
        TrainingFailed.
        """
        async with self._child("train", spec) as child:
            summary = None
            async for event in child.events():
                if isinstance(event, Progressed):
                    await on_progress(event.progress)
                elif isinstance(event, Read):
                    child.advise_on_memory(out_of_memory(spec, event.shape))
                elif isinstance(event, ScoringBroke):
                    logger.error("scoring_broke", error=event.error, trace=event.trace)
                elif isinstance(event, Trained):
                    summary = event.summary
            _raise_failure(child)
            if summary is None:
                raise _crashed(child)
            return summary

    async def sample(self, spec: SamplingSpec) -> AsyncGenerator[pa.RecordBatch, None]:
        """Draws rows in a child process and yields them as they are made, with the source's schema.

        Closing the iterator (or cancelling its task) ends the child. Raises TrainingFailed, before the first batch for
        what is wrong with the request.
        """
        async with self._child("sample", spec) as child:
            whole = True
            try:
                async for batch in child.batches():
                    yield batch
            except (pa.ArrowInvalid, OSError):
                whole = False  # the child's last words say why
            async for _ in child.events():
                pass
            _raise_failure(child)
            if not whole:
                raise _crashed(child)

    async def evaluate(self, spec: EvaluationSpec, on_progress: OnProgress) -> None:
        """Judges a table in a child process, which writes the report to the spec's file.

        Cancelling the task that awaits this ends the child. Raises TrainingFailed.
        """
        async with self._child("evaluate", spec) as child:
            done = False
            async for event in child.events():
                if isinstance(event, Progressed):
                    await on_progress(event.progress)
                done = done or isinstance(event, Evaluated)
            _raise_failure(child)
            if not done:
                raise _crashed(child)

    @asynccontextmanager
    async def _child(self, work: str, spec: WorkSpec) -> AsyncIterator[Child]:
        """A child at work, which is gone when this ends."""
        child = await self._launched(work, spec)
        child.limit(spec.time_limit_s, spec.memory_limit_mb, timed_out(spec), out_of_memory(spec, None))
        self._children.add(child)
        try:
            yield child
        finally:
            self._children.discard(child)
            await asyncio.shield(child.end())

    async def _launched(self, work: str, spec: WorkSpec) -> Child:
        """A child from the launcher, or from a new one where that has died meanwhile."""
        for _ in range(2):
            await self.start()
            if self._control is not None:
                try:
                    return await Child.launched(self._control, work, spec)
                except OSError:
                    await self.close()
        raise _not_started()

    async def _start_launcher(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        environment |= dict.fromkeys(THREAD_VARIABLES, str(self._threads))
        # With a hash seed of its own a process would iterate over sets in an order of its own.
        environment |= {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs:
            self._launcher = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                LAUNCHER,
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        self._control = ours
        if not await asyncio.get_running_loop().sock_recv(ours, 64):
            await self._end_launcher()
            raise _not_started()

    async def _end_launcher(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._launcher is not None and self._launcher.returncode is None:
            try:
                async with asyncio.timeout(END_S):
                    await self._launcher.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self._launcher.kill()
                await self._launcher.wait()
        self._launcher = None


def _raise_failure(child: Child) -> None:
    """Raises what the child or its limits say went wrong, if anything did."""
    if child.broken is not None:
        logger.error("training_broke", error=child.broken.error, trace=child.broken.trace)
        raise TrainingFailed("TRAINING_FAILED", "The work failed for a reason that is in the platform's log.")
    if child.failure is not None:
        raise TrainingFailed(child.failure.reason, child.failure.message, **child.failure.metadata)


def _crashed(child: Child) -> TrainingFailed:
    logger.error("training_crashed", exit_code=child.exit_code)
    code = "unknown" if child.exit_code is None else str(child.exit_code)
    message = f"The process that did the work died by itself, with exit code {code}."
    if child.exit_code == -signal.SIGKILL:
        message += " The machine may have run out of memory."
    return TrainingFailed("TRAINING_CRASHED", message, exit_code=code)


def _not_started() -> TrainingFailed:
    return TrainingFailed("TRAINING_CRASHED", "The process that would do the work can't be started.")
