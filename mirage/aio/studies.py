"""Studies: `client.studies` and what `client.optimize` returns."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from mirage.aio.paging import collect
from mirage.aio.watching import follow
from mirage.connection import Connection
from mirage.errors import StudyFailed
from mirage.optimizer.v1 import study_pb2 as pb
from mirage.records.optimizer import BestTrial, StudyEvent, StudyFields, StudyTrial
from mirage.states import study_state_value, trial_state_value
from mirage.study_progress import study_progress
from mirage.wire_errors import reason_of


class AsyncStudy(StudyFields):
    """A search for the parameters that suit a table."""

    def __init__(self, message: pb.Study, connection: Connection) -> None:
        super().__init__(message)
        self._connection = connection

    async def refresh(self) -> "AsyncStudy":
        """Asks the platform again where the study stands."""
        request = pb.GetStudyRequest(study_id=self.id)
        self._told = await self._connection.call(self._connection.studies.GetStudy, request)
        return self

    def watch(self, resume_token: str = "", timeout_s: float | None = None) -> AsyncGenerator[StudyEvent, None]:
        """Yields what happens in the study, from `resume_token` (of an earlier event) or its beginning on, to its end.

        A broken connection is taken up again where it broke: no event is lost, none comes twice.

        Raises:
            TimedOut: after `timeout_s`, if given; the study goes on.
        """
        return follow(self._events, self._is_over, resume_token=resume_token, timeout_s=timeout_s)

    async def wait(self, progress: bool | None = None, timeout_s: float | None = None) -> "AsyncStudy":
        """Waits until the study has ended, by itself or stopped.

        Args:
            progress: whether to show its trials; None for where somebody is likely to see them.
            timeout_s: how long to wait at most; None for as long as it takes.

        Raises:
            StudyFailed: if it fails.
            TimedOut: if it takes longer than `timeout_s`; the study goes on.
        """
        with study_progress(progress, self) as table:
            async for event in self.watch(timeout_s=timeout_s):
                table.show(event)
        return await self.settle()

    async def settle(self) -> "AsyncStudy":
        """Asks how the study ended.

        Raises:
            StudyFailed: if it failed.
        """
        await self.refresh()
        if self.state == "failed":
            raise StudyFailed(self.error or "The study failed.", self, reason=reason_of(self.proto.error))
        return self

    async def stop(self) -> "AsyncStudy":
        """Stops the study; the best so far stays. One that has ended stays as it is."""
        request = pb.StopStudyRequest(study_id=self.id)
        self._told = await self._connection.call(self._connection.studies.StopStudy, request)
        return self

    async def trials(self, *, state: str = "", limit: int | None = None) -> list[StudyTrial]:
        """Returns the study's trials by number.

        Args:
            state: only those in this state, such as `succeeded`.
            limit: how many; None for all.

        Raises:
            InvalidRequest: if there is no such state.
        """
        wanted = trial_state_value(state)

        async def page(size: int, token: str) -> tuple[list[StudyTrial], str]:
            request = pb.ListTrialsRequest(study_id=self.id, page_size=size, page_token=token, state=wanted)
            answer = await self._connection.call(self._connection.studies.ListTrials, request)
            return [StudyTrial(each) for each in answer.trials], answer.next_page_token

        return await collect(page, limit)

    async def best(self) -> BestTrial:
        """Returns the best so far, with what `client.generate` takes to train with its parameters."""
        request = pb.GetBestTrialRequest(study_id=self.id)
        return BestTrial(await self._connection.call(self._connection.studies.GetBestTrial, request))

    async def _events(self, resume_token: str) -> AsyncGenerator[StudyEvent, None]:
        request = pb.WatchStudyRequest(study_id=self.id, resume_token=resume_token)
        async with aclosing(self._connection.receive(self._connection.studies.WatchStudy, request)) as messages:
            async for message in messages:
                yield StudyEvent(message)

    async def _is_over(self) -> bool:
        return (await self.refresh()).ended


class AsyncStudies:
    """The caller's studies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self, request: pb.StartStudyRequest) -> AsyncStudy:
        """Starts a study; `client.optimize` makes the request."""
        return AsyncStudy(await self._connection.call(self._connection.studies.StartStudy, request), self._connection)

    async def list(self, *, state: str = "", dataset_id: str = "", limit: int | None = None) -> list[AsyncStudy]:
        """Returns studies, the newest first.

        Args:
            state: only those in this state, such as `running`.
            dataset_id: only those that learn this dataset.
            limit: how many; None for all.

        Raises:
            InvalidRequest: if there is no such state.
        """
        wanted = study_state_value(state)

        async def page(size: int, token: str) -> tuple[list[AsyncStudy], str]:
            request = pb.ListStudiesRequest(page_size=size, page_token=token, state=wanted, dataset_id=dataset_id)
            answer = await self._connection.call(self._connection.studies.ListStudies, request)
            return [AsyncStudy(each, self._connection) for each in answer.studies], answer.next_page_token

        return await collect(page, limit)

    async def get(self, study_id: str) -> AsyncStudy:
        """Returns one study.

        Raises:
            NotFound: if there is none.
        """
        request = pb.GetStudyRequest(study_id=study_id)
        return AsyncStudy(await self._connection.call(self._connection.studies.GetStudy, request), self._connection)
