"""A study as the search sees it: its space, its goal, how it is searched, and what has been tried so far."""

from collections.abc import Mapping, Sequence
from typing import Any

from servicekit.failures import FailureColumns
from services.optimizer.models import Document, Study, Trial
from services.optimizer.search import (
    Outcome,
    ParameterInfo,
    SearchSettings,
    Suggestion,
    parse_goal,
    parse_space,
)
from services.optimizer.search import Trial as SearchTrial
from services.optimizer.states import TrialState
from services.optimizer.strategy import Problem


def problem_of(study: Study) -> Problem:
    """The problem that a study's row describes; it was checked when the study was started."""
    parameters = parameter_table(study.table["parameters"])
    space = parse_space(study.search_space, parameters, rows=study.table["training_rows"], fixed=study.parameters)
    goal = parse_goal(study.metric, study.objectives, study.caps)
    settings = SearchSettings(
        method=study.method,
        n_trials=study.n_trials,
        seed=study.seed,
        goal=goal,
        acquisition_function=study.acquisition_function or "EI",
        scores_while_training=study.table.get("scores_while_training", False),
    )
    return Problem(space, settings)


def parameter_table(parameters: Sequence[Mapping[str, Any]]) -> tuple[ParameterInfo, ...]:
    """A model type's parameters, as the generation service tells them."""
    return tuple(ParameterInfo(**{**each, "choices": tuple(each["choices"])}) for each in parameters)


def record_of(trial: Trial) -> SearchTrial:
    """A trial's row as the search remembers it."""
    reports = {int(epochs): dict(scores) for epochs, scores in trial.reports.items()}
    return SearchTrial(Suggestion.from_record(trial.suggestion), _outcome(trial), reports)


def model_config_of(study: Study, suggestion: Document) -> dict[str, Any]:
    """What a job takes as `model_config` to train as a trial did."""
    asked = Suggestion.from_record(suggestion)
    epochs = {} if asked.epochs is None else {"epochs": asked.epochs}
    return {"model_type": study.model_type, **asked.parameters, **epochs}


def failure_text(row: FailureColumns) -> str:
    """Why a trial failed, in a line."""
    return f"{row.error_reason}: {row.error_message}" if row.error_reason else ""


def _outcome(trial: Trial) -> Outcome | None:
    match trial.state:
        case TrialState.SUCCEEDED:
            return Outcome.succeeded(trial.metrics)
        case TrialState.PRUNED:
            return Outcome.pruned(trial.metrics)
        case TrialState.FAILED | TrialState.CANCELLED:
            return Outcome.failed(failure_text(trial))
        case _:
            return None
