"""One study in a process's hands: asked, ordered, followed, told; to its end, or given back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any
from uuid import UUID

import grpc
import structlog
from pgqueuer.models import Job as QueueRow
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import trace_context, tracing
from servicekit.attending import Attendant, Piece, Superseded
from servicekit.errors import ServiceError, Unavailable
from servicekit.failures import Failure
from servicekit.listen import Listener
from servicekit.patience import DATABASE_ERRORS, is_database_gone, patiently
from services.optimizer import attempts, events, repository
from services.optimizer.attempts import UNEXPECTED, Attempt, Ended, Progress, Scores
from services.optimizer.models import Study, Trial
from services.optimizer.problem import model_config_of, problem_of, record_of
from services.optimizer.search import Suggestion
from services.optimizer.search.bests import trials_without_gain
from services.optimizer.states import STUDY_ENDED, TRIAL_ENDED, EndReason, TrialState
from services.optimizer.strategist import Strategist, StrategyError
from services.optimizer.strategy import Asked, Problem
from services.optimizer.trial_client import TrialClient, TrialOrder
from services.optimizer.trial_runs import CALLED_OFF, TrialFailed, TrialRunner

log = structlog.get_logger(__name__)

# Where the first so many trials all fail, the others would, too.
_HOPELESS_AFTER = 10
# Whoever waits has the best by then; only trials of no use are left behind.
_PUT_AWAY_PATIENCE_S = 3600.0
# While the study isn't over for those who watch it.
_CALL_OFF_PATIENCE_S = 30.0
_KEEP_PATIENCE_S = 120.0
# What runs then isn't waited for.
_AT_ONCE = frozenset({EndReason.TIMEOUT, EndReason.PATIENCE})
# Announcements can be lost, so whether a study was stopped is looked at as well.
_LOOK_S = 5.0


class StudyDriver:
    """Drives studies. `stopping` makes it give back what it has."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        listener: Listener,
        trials: TrialClient,
        strategist: Strategist,
        longest_s: float,
        stopping: asyncio.Event,
    ) -> None:
        self._sessions = sessions
        self._listener = listener
        self._attendant = Attendant(sessions, listener, events.CHANNEL, stopping)
        self._trials = trials
        self._strategist = strategist
        self._longest_s = longest_s

    async def handle(self, row: QueueRow) -> None:
        """Drives the study that a row of the queue names, to whatever end; raises only if the database stays away."""
        study_id = UUID((row.payload or b"").decode())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(study_id=str(study_id))
        async with self._sessions.begin() as session:
            study = await attempts.claim(session, study_id, row.id)
        if study is None:
            log.info("row_dropped", queue_id=row.id)
            return
        structlog.contextvars.bind_contextvars(
            request_id=study.request_id, user_id=str(study.owner_id), attempt=study.attempts
        )
        attributes: tracing.Attributes = {"mirage.study_id": str(study_id), "mirage.method": study.method}
        with tracing.resuming("run study", study.traceparent, row.created, attributes) as span:
            log.info("study_claimed")
            ending = await self._attendant.attend(self._piece(study, Attempt(study.id, study.attempts)))
            span.set("mirage.ending", ending.value)
            log.info("study_left", ending=ending.value)
            await self._sweep_up(study_id)

    def _piece(self, study: Study, attempt: Attempt) -> Piece:
        drive = Drive(
            study, attempt, self._sessions, self._attendant, self._listener, self._trials, self._strategist,
            self._longest_s,
        )  # fmt: skip

        async def fail(session: AsyncSession, error: Exception) -> None:
            if isinstance(error, Unavailable) or is_database_gone(error):
                await attempts.give_back(session, attempt)  # whatever is away comes back; the study goes on then
                log.warning("study_given_back", error=type(error).__name__)
                return
            failure = _failure_of(error)
            tracing.current().fail(failure.reason)
            await attempts.fail(session, attempt, failure)
            log.warning("study_failed", reason=failure.reason)

        return Piece(
            key=str(study.id),
            work=drive.run,
            counts=lambda session: repository.attempt_counts(session, *attempt),
            fail=fail,
            give_back=lambda session: attempts.give_back(session, attempt),
        )

    async def _sweep_up(self, study_id: UUID) -> None:
        """Leaves no trial of a study that was deleted while one was just being ordered."""
        async with self._sessions() as session:
            if await repository.study_exists(session, study_id):
                return
        await patiently(lambda: self._trials.delete(study_id), Unavailable)


class Drive:
    """One attempt at a study."""

    def __init__(
        self,
        study: Study,
        attempt: Attempt,
        sessions: async_sessionmaker[AsyncSession],
        attendant: Attendant,
        listener: Listener,
        trials: TrialClient,
        strategist: Strategist,
        longest_s: float,
    ) -> None:
        self._study = study
        self._attempt = attempt
        self._sessions = sessions
        self._attendant = attendant
        self._listener = listener
        self._trials = trials
        self._runner = TrialRunner(trials)
        self._strategist = strategist
        self._ends_at = _ends_at(study, longest_s)
        self._running: dict[int, asyncio.Task[None]] = {}
        self._asking: asyncio.Task[Asked] | None = None
        self._weighing: asyncio.Task[None] | None = None
        self._waits = False  # the search asks nothing before another trial has ended
        self._unweighed = False  # a trial has ended since importances were last worked out

    @cached_property
    def _problem(self) -> Problem:
        return problem_of(self._study)

    async def run(self) -> None:
        """Searches until there is an end to it, then keeps the best model and puts the rest away."""
        if self._study.state not in STUDY_ENDED:
            await self._search()
        await self._put_away()

    async def _search(self) -> None:
        stopped = asyncio.create_task(self._until_ended())
        try:
            reason = await self._until_over(stopped)
            if reason is not None:
                await self._free()
                with suppress(Unavailable):  # it is tried again at the end, for longer
                    await self._keep_best(_KEEP_PATIENCE_S)
                await self._say(lambda session: attempts.conclude(session, self._attempt, reason))
        except Ended:
            log.info("study_stopped")
        finally:
            tasks = {stopped, *self._running.values()}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _until_over(self, stopped: "asyncio.Task[None]") -> EndReason | None:
        """Runs trials until the study is over; by what, None if somebody has stopped it."""
        for trial in await self._read_trials():
            if trial.state not in TRIAL_ENDED:
                self._run(trial)
        try:
            while True:
                over = await self._over()
                if over is None:
                    self._ask_if_free()
                self._weigh_if_idle()
                if over in _AT_ONCE or (self._asking is None and not self._running):
                    await self._settle_weighing()
                    return over or EndReason.SPACE
                left_s = max(self._ends_at - time.time(), 0.0)
                tasks = {stopped, *self._running.values(), *([self._asking] if self._asking else [])}
                done, _ = await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if stopped in done:
                    return None
                if not done:
                    return EndReason.TIMEOUT
                self._take(done)
        finally:
            for task in filter(None, (self._asking, self._weighing)):
                task.cancel()

    def _ask_if_free(self) -> None:
        free = self._study.parallel_trials - len(self._running)
        if self._asking is None and not self._waits and free > 0:
            self._asking = asyncio.create_task(self._ask(free))

    def _weigh_if_idle(self) -> None:
        """Has importances worked out anew, but never before what is to be tried next: a processor waits for that."""
        if self._unweighed and self._asking is None and (self._weighing is None or self._weighing.done()):
            self._unweighed = False
            self._weighing = asyncio.create_task(self._weigh())

    def _take(self, done: "set[asyncio.Task[Any]]") -> None:
        """Takes what has come: what was asked for, and trials that have ended.

        Raises:
            Ended: the study has ended.
            Superseded: the attempt counts no more.
        """
        if self._asking in done and self._asking is not None:
            # Nothing new: either there is nothing left, or the search waits for what runs.
            self._waits = not self._asking.result().suggestions
            self._asking = None
        ended = [number for number, task in self._running.items() if task in done]
        for number in ended:
            self._running.pop(number).result()
        if ended:
            self._waits = False
            self._unweighed = True

    async def _over(self) -> EndReason | None:
        """By what no more trials are to be asked for; None if they are."""
        if time.time() >= self._ends_at:
            return EndReason.TIMEOUT
        trials = await self._read_trials()
        ended = sorted((trial for trial in trials if trial.state in TRIAL_ENDED), key=_end_of)
        if len(ended) >= _HOPELESS_AFTER and all(trial.state is TrialState.FAILED for trial in ended):
            return EndReason.PATIENCE
        patience = self._study.patience
        if patience and trials_without_gain(self._problem.goal, [record_of(trial) for trial in ended]) >= patience:
            return EndReason.PATIENCE
        return EndReason.TRIALS if len(trials) >= self._study.n_trials else None

    async def _ask(self, count: int) -> Asked:
        """Asks for new trials, writes them down, and begins them."""
        records = [record_of(trial) for trial in await self._read_trials()]
        with tracing.span("suggest trials", attributes={"mirage.wanted": count}):
            asked = await self._strategist.ask(self._problem, records, count)
        if asked.suggestions:
            await self._say(lambda session: attempts.order(session, self._attempt, asked.suggestions))
            numbers = {suggestion.number for suggestion in asked.suggestions}
            for trial in await self._read_trials():
                if trial.number in numbers:
                    self._run(trial)
        return asked

    def _run(self, trial: Trial) -> None:
        name = f"trial {trial.number}"
        self._running[trial.number] = asyncio.create_task(self._run_trial(trial), name=name)

    async def _run_trial(self, trial: Trial) -> None:
        with tracing.span("run trial", attributes={"mirage.trial": trial.number}):
            await self._see_trial_through(trial)

    async def _see_trial_through(self, trial: Trial) -> None:
        number = trial.number

        async def on_progress(running: bool, times_run: int, progress: Progress) -> None:
            await self._attendant.mention(
                lambda session: attempts.report(
                    session, self._attempt, number, running=running, times_run=times_run, progress=progress
                )
            )

        # Rungs where it is still to be judged, each once, however often it is trained or its events are read. At the
        # latest that was written down nobody may have come to judge it.
        left = set(Suggestion.from_record(trial.suggestion).rungs) - set(sorted(map(int, trial.reports))[:-1])

        async def on_scores(epochs: int, scores: Mapping[str, float]) -> bool:
            if epochs not in left:
                return True
            left.remove(epochs)
            return await self._goes_on(number, epochs, scores)

        try:
            scores = await self._runner.run(self._order(trial), on_progress, on_scores)
        except TrialFailed as error:
            failure = error.failure
            if failure.reason == CALLED_OFF and trial.reports:  # at a rung, by a process that didn't come to say so
                last = trial.reports[max(trial.reports, key=int)]
                await self._say(
                    lambda session: attempts.score(
                        session, self._attempt, self._problem, number, Scores(last, (), pruned=True)
                    )
                )
                return
            tracing.current().fail(failure.reason)
            log.info("trial_failed", number=number, reason=failure.reason)
            await self._say(lambda session: attempts.fail_trial(session, self._attempt, number, failure))
        else:
            await self._say(lambda session: attempts.score(session, self._attempt, self._problem, number, scores))

    async def _goes_on(self, number: int, epochs: int, scores: Mapping[str, float]) -> bool:
        """Whether a trial that has come to a rung may go on from there."""
        await self._say(
            lambda session: attempts.note_scores(session, self._attempt, self._problem, number, epochs, scores)
        )
        records = [record_of(trial) for trial in await self._read_trials()]
        goes_on = await self._strategist.goes_on(self._problem, records, number, epochs, scores)
        log.info("trial_at_rung", number=number, epochs=epochs, goes_on=goes_on)
        return goes_on

    def _order(self, trial: Trial) -> TrialOrder:
        study = self._study
        return TrialOrder(
            study_id=study.id,
            number=trial.number,
            owner_id=study.owner_id,
            dataset_id=study.dataset_id,
            dataset_version=study.dataset_version,
            engine=study.engine,
            model_config=model_config_of(study, trial.suggestion),
            seed=study.seed,  # one for all: so every trial is judged by the same rows
            columns=study.columns,
            target_column=study.target_column,
            holdout_fraction=study.holdout_fraction,
            score_epochs=Suggestion.from_record(trial.suggestion).rungs,
            score_metrics=self._problem.goal.metrics,
        )

    async def _weigh(self) -> None:
        """Says how much each parameter matters, as far as that can be told."""
        try:
            records = [record_of(trial) for trial in await self._read_trials()]
            importances = await self._strategist.importances(self._problem, records)
            if importances:
                await self._say(lambda session: attempts.weigh(session, self._attempt, importances))
        except (Ended, Superseded):
            log.info("importances_too_late")
        except StrategyError as error:  # nothing hangs on it
            log.warning("importances_not_told", error=str(error))

    async def _settle_weighing(self) -> None:
        """Has importances worked out of all trials, and waits for that; nothing is asked for any more."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        while True:
            self._weigh_if_idle()
            if self._weighing is None or self._weighing.done():
                return
            await asyncio.wait({self._weighing})

    async def _until_ended(self) -> None:
        """Until somebody has stopped the study."""
        with trace_context.unrecorded():
            await self._look_until_ended()

    async def _look_until_ended(self) -> None:
        async with self._listener.subscribe(events.CHANNEL, str(self._study.id)) as subscription:
            while True:
                try:
                    async with self._sessions() as session:
                        if await repository.state_of(session, self._study.id) in STUDY_ENDED:
                            return
                except DATABASE_ERRORS as error:
                    log.warning("study_not_looked_for", error=type(error).__name__)
                await subscription.wait(_LOOK_S)

    # What is left to do once it is over

    async def _put_away(self) -> None:
        """Keeps the best model if that wasn't done yet, and leaves no other trial behind. Twice is once."""
        await self._free()
        await self._keep_best(_PUT_AWAY_PATIENCE_S)
        await patiently(lambda: self._trials.delete(self._study.id), Unavailable, for_s=_PUT_AWAY_PATIENCE_S)
        await self._say(lambda session: attempts.put_away(session, self._attempt))

    async def _free(self) -> None:
        """Frees the processors of trials that still run; what can't be called off now is when it is deleted."""
        for task in self._running.values():
            task.cancel()
        doomed = [trial.number for trial in await self._read_trials() if _may_run(trial)]
        await asyncio.gather(*(self._cancel(number) for number in doomed))

    async def _cancel(self, number: int) -> None:
        try:
            await patiently(
                lambda: self._runner.cancel(self._study.id, number), Unavailable, for_s=_CALL_OFF_PATIENCE_S
            )
        except (ServiceError, grpc.RpcError) as error:
            log.warning("trial_not_called_off", number=number, reason=_failure_of(error).reason)

    async def _keep_best(self, patience_s: float) -> None:
        """Makes the best trial's model its owner's.

        Raises:
            Unavailable: the generation service is away for longer than `patience_s`.
        """
        async with self._sessions() as session:
            study = await repository.find_any_study(session, self._study.id)
            best = (
                None if study.best_number is None else await repository.find_trial(session, study.id, study.best_number)
            )
        if best is None or best.model_id is not None:
            return
        number = best.number
        try:
            model_id = await patiently(
                lambda: self._trials.keep_model(self._study.id, number), Unavailable, for_s=patience_s
            )
        except Unavailable:
            raise
        except (ServiceError, grpc.RpcError) as error:  # the search has come to something all the same
            failure = _failure_of(error)
            note = f"The model of the best trial could not be kept: {failure.message}"
            log.warning("model_not_kept", reason=failure.reason)
            await self._say(lambda session: attempts.remark(session, self._attempt, note))
        else:
            if model_id:
                await self._say(lambda session: attempts.keep(session, self._attempt, number, model_id))

    async def _read_trials(self) -> list[Trial]:
        async def read() -> list[Trial]:
            async with self._sessions() as session:
                return list(await repository.trials_of(session, self._study.id))

        return await patiently(read, *DATABASE_ERRORS)

    async def _say(self, words: Callable[[AsyncSession], Awaitable[None]]) -> None:
        await self._attendant.say(words)


def _may_run(trial: Trial) -> bool:
    """Whether the generation service may be at work on a trial."""
    return trial.state not in TRIAL_ENDED or trial.state is TrialState.CANCELLED


def _end_of(trial: Trial) -> float:
    return trial.ended_at.timestamp() if trial.ended_at else 0.0


def _ends_at(study: Study, longest_s: float) -> float:
    """The time, in seconds of the epoch, at which the study is over; it goes on while nobody drives the study."""
    begun = study.started_at or study.created_at
    return begun.timestamp() + min(study.timeout_seconds or longest_s, longest_s)


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, ServiceError):
        return Failure(error.code, error.reason, error.message)
    log.error("unexpected_error", exc_info=error)
    return UNEXPECTED
