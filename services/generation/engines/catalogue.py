"""Checks what a request says about its model, and tells what can be said. Imports neither torch nor SDV."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from servicekit.wording import in_words, whole_number
from services.generation.engines import ENGINES
from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.parameters import Limits, Parameters, Unsuitable
from services.generation.engines.protocol import ModelSpec

_Fault: TypeAlias = tuple[tuple[int | str, ...], str, str]  # where in the request, of what kind, in words


@dataclass(frozen=True)
class CheckedModel:
    """A model as it will be fitted: parameters all in force, and in words what was adjusted of the request."""

    engine: str
    model_type: str
    parameters: dict[str, object]
    adjustments: tuple[str, ...]


@dataclass(frozen=True)
class ParameterDescription:
    """What a user needs to know of a parameter.

    `type` is `integer`, `number`, `boolean`, `string` or `integers`. Of a list, `minimum` and `maximum` are its items'.
    """

    name: str
    type: str
    description: str
    default: object
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    """Values that suit tables of at most `up_to_rows` rows; 0 for any larger one."""

    up_to_rows: int
    parameters: Mapping[str, int]


@dataclass(frozen=True)
class ModelTypeDescription:
    """A model type, the engines that have it (the default first) and its parameters with the default engine.

    `scores_while_training` are those of the engines that can score it while it trains.
    """

    name: str
    engines: tuple[str, ...]
    description: str
    parameters: tuple[ParameterDescription, ...]
    recommendations: tuple[Recommendation, ...]
    scores_while_training: tuple[str, ...]


RECOMMENDATIONS = (
    Recommendation(999, {"epochs": 200, "batch_size": 100}),
    Recommendation(10_000, {"epochs": 150, "batch_size": 500}),
    Recommendation(0, {"epochs": 100, "batch_size": 1000}),
)


def engines_of(model_type: str) -> tuple[str, ...]:
    """The engines that have a model type, the default first; none if there is no such type."""
    return tuple(name for name, engine in ENGINES.items() if model_type in engine.model_types)


def model_types() -> tuple[str, ...]:
    """Every model type that some engine has."""
    return tuple(dict.fromkeys(name for engine in ENGINES.values() for name in engine.model_types))


def check_model(
    config: Mapping[str, object], *, engine: str = "", rows: int | None = None, limits: Limits | None = None
) -> CheckedModel:
    """Checks a request's `model_config` (the model's type and its parameters) and `engine`.

    `rows` is how many rows there are to train on; without it nothing is fitted to the table's size. Raises pydantic's
    ValidationError with every fault at once, located as in the request: `("model_config", "epochs")`, `("engine",)`.
    """
    limits = limits or Limits()
    given = dict(config)
    model_type = given.pop("model_type", None)
    faults = list(_faults_of_choice(model_type, engine))
    having = engines_of(model_type) if isinstance(model_type, str) else ()
    if not having:
        raise _invalid(*faults)
    # Whatever the engine, what is said of the parameters is right for the one that would be chosen.
    chosen = engine if engine in having else having[0]
    table = ENGINES[chosen].model_types[str(model_type)].parameters
    if "epochs" in table.model_fields and "epochs" not in given:
        given |= {"epochs": table.default_epochs(limits)}
    checked, wrong = _validated(table, given, limits)
    parameters, adjustments, unsuitable = _fitted_to_table(checked, rows)
    faults += [*wrong, *unsuitable]
    if faults:
        raise _invalid(*faults)
    return CheckedModel(chosen, str(model_type), parameters, adjustments)


def estimate(model: CheckedModel, table: TableShape, sample_size: int) -> Estimate:
    """What fitting a checked model to such a table and drawing so many rows would take on this machine, roughly."""
    spec = ModelSpec(model.model_type, model.parameters, seed=0)
    return ENGINES[model.engine].estimate(table, spec, sample_size)


def describe_model_types(limits: Limits | None = None) -> tuple[ModelTypeDescription, ...]:
    """Every model type with its parameters, under the deployment's limits."""
    return tuple(_describe(name, limits or Limits()) for name in model_types())


def describe_model(model: CheckedModel, limits: Limits | None = None) -> ModelTypeDescription:
    """A checked model's type with its parameters as the engine in force has them."""
    return _describe(model.model_type, limits or Limits(), model.engine)


def _faults_of_choice(model_type: object, engine: str) -> Iterator[_Fault]:
    """What is wrong with the model's type and with the engine, each by itself and both together."""
    known = model_types()
    having: Sequence[str] = tuple(ENGINES)
    if model_type is None:
        yield ("model_config", "model_type"), "missing_model_type", f"is required: one of {', '.join(known)}"
    elif not isinstance(model_type, str) or model_type not in known:
        yield ("model_config", "model_type"), "unknown_model_type", f"must be one of {', '.join(known)}"
    else:
        having = engines_of(model_type)
    if engine and engine not in having:
        why = f"; {engine} has no {model_type}" if engine in ENGINES else ""
        yield ("engine",), "unknown_engine", f"must be one of {', '.join(having)}{why}"


def _validated(
    table: type[Parameters], values: Mapping[str, object], limits: Limits
) -> tuple[Parameters, Sequence[_Fault]]:
    """The parameters that are right by themselves, and what is wrong with the others, located as in the request."""
    try:
        return table.model_validate(dict(values), context=limits), ()
    except ValidationError as error:
        faults: list[_Fault] = []
        for fault in error.errors(include_url=False, include_input=False):
            message = in_words(fault, table)
            if fault["type"] == "extra_forbidden":
                message = f"is no parameter of this model type; there are {', '.join(table.model_fields)}"
            elif fault["loc"] == ("epochs",):  # whatever is wrong with them, the deployment's bounds are what is right
                message = whole_number(*table.epoch_range(limits))
            faults.append((("model_config", *fault["loc"]), f"wrong_{fault['type']}", message))
        wrong = {fault["loc"][0] for fault in error.errors(include_url=False, include_input=False)}
        right = {name: value for name, value in values.items() if name not in wrong}
        if "epochs" in wrong and "epochs" in table.model_fields:
            right["epochs"] = table.default_epochs(limits)
        return table.model_validate(right, context=limits), faults


def _fitted_to_table(
    checked: Parameters, rows: int | None
) -> tuple[dict[str, object], tuple[str, ...], Sequence[_Fault]]:
    """The parameters in force, what was adjusted, in words, and what doesn't suit the table."""
    unsuitable = list(checked.contradictions())
    parameters, adjustments = checked.in_force(), []
    try:
        for change in checked.adjustments(rows) if rows is not None else ():
            parameters[change.parameter] = change.value
            adjustments.append(f"{change.parameter} was set to {change.value}: {change.reason}.")
    except Unsuitable as error:
        unsuitable.append(error)
    faults = [(("model_config", fault.parameter), "unsuitable", str(fault)) for fault in unsuitable]
    return parameters, tuple(adjustments), faults


def _invalid(*faults: _Fault) -> ValidationError:
    """A ValidationError from faults."""
    details = [
        InitErrorDetails(type=PydanticCustomError(_literal(kind), _literal(message)), loc=location, input=None)
        for location, kind, message in faults
    ]
    return ValidationError.from_exception_data("model_config", details)


def _literal(text: str) -> Any:
    """`text` for a parameter that is typed as a literal string, which a message made at run time never is."""
    return text


def _describe(name: str, limits: Limits, engine: str = "") -> ModelTypeDescription:
    having = engines_of(name)
    table = ENGINES[engine or having[0]].model_types[name].parameters
    parameters = tuple(_describe_parameter(table, field, limits) for field in table.model_fields)
    names = {parameter.name for parameter in parameters}
    recommended: Sequence[Recommendation] = RECOMMENDATIONS if {"epochs", "batch_size"} <= names else ()
    within = tuple(_within(advice, *table.epoch_range(limits)) for advice in recommended)
    scoring = tuple(one for one in having if ENGINES[one].model_types[name].scored_while_training)
    return ModelTypeDescription(name, having, table.description, parameters, within, scoring)


def _within(advice: Recommendation, fewest: int, most: int) -> Recommendation:
    """The same with as many epochs as may be."""
    epochs = min(max(advice.parameters["epochs"], fewest), most)
    return Recommendation(advice.up_to_rows, {**advice.parameters, "epochs": epochs})


def _describe_parameter(table: type[Parameters], name: str, limits: Limits) -> ParameterDescription:
    whole = table.model_json_schema()["properties"][name]
    alternatives = [part for part in whole.get("anyOf", [whole]) if part.get("type") != "null"]
    schema: dict[str, Any] = alternatives[0]
    bounds = schema.get("items", schema)
    minimum, maximum, default = bounds.get("minimum"), bounds.get("maximum"), whole.get("default")
    if name == "epochs":
        (minimum, maximum), default = table.epoch_range(limits), table.default_epochs(limits)
    return ParameterDescription(
        name=name,
        type="integers" if schema["type"] == "array" else schema["type"],
        description=whole.get("description", ""),
        default=default,
        minimum=minimum,
        maximum=maximum,
        choices=tuple(schema.get("enum", ())),
    )
