"""From a request to a plan, or to everything that is wrong with it at once."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError

from servicekit.clients import PeerError
from servicekit.errors import InvalidRequest, Violation
from servicekit.form_faults import are_known, conclude
from servicekit.validation import violations_of
from services.optimizer.problem import parameter_table
from services.optimizer.requests import LARGEST_SEED, RequestLimits, StudyRequest, with_one_model_type
from services.optimizer.search import Fault, Goal, InvalidSearch, SearchSettings, Space, parse_goal, parse_space
from services.optimizer.search.parameters import GAN_LEARNING_RATES, LEARNING_RATE
from services.optimizer.spaces import suitable_space
from services.optimizer.strategist import Strategist
from services.optimizer.strategy import Problem
from services.optimizer.trial_client import TableFacts, TrialClient

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """A study as it will be: nothing is left open."""

    request: StudyRequest
    facts: TableFacts
    search_space: dict[str, Any]
    settings: SearchSettings
    name: str
    notes: tuple[str, ...]

    @property
    def n_trials(self) -> int:
        """Trials to run."""
        return self.settings.n_trials


class Planner:
    """Checks requests and fills in what they leave open."""

    def __init__(self, trials: TrialClient, strategist: Strategist, limits: RequestLimits) -> None:
        self._trials = trials
        self._strategist = strategist
        self._limits = limits

    async def plan(self, owner_id: UUID, fields: Mapping[str, Any]) -> Plan:
        """The plan for a user's request, given field by field with the types of the contract.

        Raises:
            InvalidRequest: with every wrong field.
            PeerError: what the generation service says where nothing else is wrong, such as DATASET_NOT_FOUND.
            Unavailable: the generation service can't be reached.
        """
        request, violations = self._read(fields)
        facts = None
        try:
            facts = await self._facts(owner_id, request) if request.dataset_id and request.model_type else None
        except PeerError as refusal:
            is_all = not refusal.violations and not violations and not _faults_without_table(request)
            if is_all and not are_known():
                raise
            known = {violation.field for violation in violations}
            refused = list(_refused(refusal))
            violations += [each for each in refused if each.field not in known]
            # The space is judged by the model's parameters, which a wrong column or value doesn't change.
            request = _without(request, {violation.field for violation in refused})
            facts = await self._facts_if_any(owner_id, request)
        if facts is None:
            violations += _violations(_faults_without_table(request))
            raise InvalidRequest(violations)
        plan, faults = await self._draft(request, facts, violations)
        conclude([*violations, *_violations(faults)])
        if plan is None:
            raise InvalidRequest(violations)
        return plan

    def _read(self, given: Mapping[str, Any]) -> tuple[StudyRequest, list[Violation]]:
        fields = with_one_model_type(given)
        try:
            return StudyRequest.model_validate(fields, context=self._limits), []
        except ValidationError as error:
            # The types are the contract's, so what hangs on the table and the model can be checked all the same.
            violations = violations_of(error, StudyRequest)
            wrong = {violation.field.partition(".")[0] for violation in violations}
            right = {name: value for name, value in fields.items() if name not in wrong}
            return StudyRequest.model_construct(**{"dataset_id": "", **right}), violations

    async def _facts(self, owner_id: UUID, request: StudyRequest) -> TableFacts:
        return await self._trials.describe(
            owner_id,
            dataset_id=request.dataset_id,
            dataset_version=request.dataset_version,
            model_config={"model_type": request.model_type, **request.model},
            engine=request.engine,
            columns=request.columns,
            target_column=request.target_column,
            holdout_fraction=request.holdout_fraction,
        )

    async def _facts_if_any(self, owner_id: UUID, request: StudyRequest) -> TableFacts | None:
        """The facts by what is left of a request that was refused; None where that can't be told of either."""
        try:
            return await self._facts(owner_id, request)
        except PeerError:
            return None

    async def _draft(
        self, request: StudyRequest, facts: TableFacts, violations: Iterable[Violation]
    ) -> tuple[Plan | None, list[Fault]]:
        faults = list(_searched_and_fixed(request, {each["name"] for each in facts.parameters}))
        goal = _checked(faults, lambda: _goal(request, facts.unmeasurable)) or Goal()
        parameters = parameter_table(facts.parameters)
        raw = dict(request.search_space) or suitable_space(facts, given=request.model)
        space = _checked(
            faults, lambda: parse_space(raw, parameters, rows=facts.training_rows, fixed=dict(request.model))
        )
        settings = SearchSettings(
            method=request.optimization_method,
            n_trials=self._trials_wanted(request, space),
            seed=secrets.randbelow(LARGEST_SEED + 1) if request.random_state is None else request.random_state,
            goal=goal,
            acquisition_function=request.acquisition_function,
            scores_while_training=facts.scores_while_training,
        )
        _checked(faults, lambda: _raise_if(settings.faults()))
        if space is not None and not faults and not any(field == "n_trials" for field, _ in violations):
            faults += await self._strategist.check(Problem(space, settings))
        if faults or space is None:
            return None, faults
        notes = (*_left_out(goal, facts.unmeasurable), *_adjusted(request, settings))
        name = request.name or f"{facts.dataset_name[:180]} {request.model_type}"
        return Plan(request, facts, raw, settings, name, notes), []

    def _trials_wanted(self, request: StudyRequest, space: Space | None) -> int:
        """As many as asked for; of a small space no more than it has points, and all of a small grid."""
        if request.n_trials is not None:
            return request.n_trials
        size = None if space is None else space.size
        if request.optimization_method == "grid" and size is not None and size <= self._limits.maximum_trials:
            return size
        return self._limits.default_trials


def _checked(faults: list[Fault], check: Callable[[], T]) -> T | None:
    """What a check gives; None, and the faults added, where it finds any."""
    try:
        return check()
    except InvalidSearch as error:
        faults += error.faults
        return None


def _goal(request: StudyRequest, unmeasurable: Mapping[str, str]) -> Goal:
    # The score of everything together is still one without a part that can't be measured.
    reasons = {metric: reason for metric, reason in unmeasurable.items() if metric != "quality_score"}
    return parse_goal(request.optimization_metric, list(request.objectives), dict(request.caps), reasons)


def _searched_and_fixed(request: StudyRequest, known: Collection[str]) -> Iterable[Fault]:
    """Parameters that are to be searched and to be as given, each told in both places."""
    for searched in sorted(request.search_space):
        rates = GAN_LEARNING_RATES if set(GAN_LEARNING_RATES) <= set(known) else ()
        same = {searched, *(rates if searched == LEARNING_RATE else [LEARNING_RATE] if searched in rates else [])}
        for given in sorted(same & request.model.keys()):
            message = f"search_space.{searched} searches what model_config.{given} fixes; leave one of them out."
            yield Fault(f"search_space.{searched}", message)
            yield Fault(f"model_config.{given}", message)


def _faults_without_table(request: StudyRequest) -> list[Fault]:
    """What is wrong with the search whatever the table is."""
    faults: list[Fault] = []
    goal = _checked(faults, lambda: _goal(request, {})) or Goal()
    settings = SearchSettings(
        method=request.optimization_method,
        n_trials=1,
        seed=0,
        goal=goal,
        acquisition_function=request.acquisition_function,
    )
    _checked(faults, lambda: _raise_if(settings.faults()))
    return faults


def _left_out(goal: Goal, unmeasurable: Mapping[str, str]) -> Iterable[str]:
    if "quality_score" in goal.objectives:
        for part, reason in sorted(unmeasurable.items()):
            if "." not in part:
                yield f"{part} is left out of quality_score, whose other parts weigh more for it: {reason}"


def _adjusted(request: StudyRequest, settings: SearchSettings) -> Iterable[str]:
    if request.parallel_trials > settings.n_trials:
        yield f"At most {settings.n_trials} trials run at once: there are no more."


def _refused(refusal: PeerError) -> Iterable[Violation]:
    """What the generation service found wrong, by the names that the fields have here."""
    if not refusal.violations:
        field = "dataset_version" if refusal.reason == "DATASET_VERSION_NOT_FOUND" else "dataset_id"
        yield Violation(field, refusal.message)
    for field, description in refusal.violations:
        yield Violation("model_type" if field == "model_config.model_type" else field, description)


def _without(request: StudyRequest, wrong: Collection[str]) -> StudyRequest:
    """The same request where what is wrong, and may be absent, is absent."""
    heads = {field.partition(".")[0].partition("[")[0] for field in wrong}
    absent = {"dataset_version": 0, "engine": "", "target_column": "", "columns": (), "holdout_fraction": 0.1}
    kept = {name: value for name, value in request.model.items() if f"model_config.{name}" not in wrong}
    return request.model_copy(update={"model": kept, **{name: absent[name] for name in heads & absent.keys()}})


def _violations(faults: Iterable[Fault]) -> list[Violation]:
    return [Violation(fault.field, fault.description) for fault in faults]


def _raise_if(faults: Iterable[Fault]) -> None:
    if found := list(faults):
        raise InvalidSearch(found)
