"""Studies: `client.studies` and what `client.optimize` returns."""

from collections.abc import Iterator
from functools import partial

from mirage.aio.studies import AsyncStudies, AsyncStudy
from mirage.optimizer.v1 import study_pb2 as pb
from mirage.plain.calls import Plain, blocking, each
from mirage.plain.loop import LOOP
from mirage.records.optimizer import StudyEvent, StudyFields
from mirage.study_progress import study_progress


def _study(core: AsyncStudy) -> "Study":
    return Study(core)


class Study(Plain[AsyncStudy], StudyFields):
    """A search for the parameters that suit a table."""

    @property
    def proto(self) -> pb.Study:
        """The message itself."""
        return self._core.proto

    refresh = blocking(AsyncStudy.refresh, _study)
    settle = blocking(AsyncStudy.settle, _study)
    stop = blocking(AsyncStudy.stop, _study)
    trials = blocking(AsyncStudy.trials)
    best = blocking(AsyncStudy.best)

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> Iterator[StudyEvent]:
        """Yields what happens in the study, from `resume_token` (of an earlier event) or its beginning on, to its end.

        A broken connection is taken up again where it broke: no event is lost, none comes twice.

        Raises:
            TimedOut: after `timeout_s`, if given; the study goes on.
        """
        return LOOP.iterate(partial(self._core.watch, resume_token, timeout_s))

    def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "Study":
        """Waits until the study has ended. Interrupted (Ctrl-C) it stops waiting; the study goes on.

        Args:
            progress: whether to show its trials; None for where somebody is likely to see them.
            timeout_s: how long to wait at most; None for as long as it takes.

        Raises:
            StudyFailed: if it fails.
            TimedOut: if it takes longer than `timeout_s`; the study goes on.
        """
        with study_progress(progress, self) as table:
            for event in self.watch(timeout_s=timeout_s):
                table.show(event)
        return self.settle()


class Studies(Plain[AsyncStudies]):
    """The caller's studies."""

    start = blocking(AsyncStudies.start, Study)
    list = blocking(AsyncStudies.list, each(Study))
    get = blocking(AsyncStudies.get, Study)
