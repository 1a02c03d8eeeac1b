"""Checks what a request says about its model, and tells what can be said. Imports neither torch nor SDV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.generation.engines import ENGINES
from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.parameters import Limits, Parameters, Unsuitable
from services.generation.engines.protocol import ModelSpec


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
    """A model type, the engines that have it (the default first) and its parameters with the default engine."""

    name: str
    engines: tuple[str, ...]
    description: str
    parameters: tuple[ParameterDescription, ...]
    recommendations: tuple[Recommendation, ...]


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
    chosen = _choose_engine(model_type, engine)
    table = ENGINES[chosen].model_types[str(model_type)].parameters
    if "epochs" in table.model_fields and "epochs" not in given:
        default = table.default_epochs(limits)
        checked = _validated(table, given | {"epochs": default}, limits)
    else:
        checked = _validated(table, given, limits)
    parameters, adjustments = _fitted_to_table(checked, rows)
    return CheckedModel(chosen, str(model_type), parameters, adjustments)


def estimate(model: CheckedModel, table: TableShape, sample_size: int) -> Estimate:
    """What fitting a checked model to such a table and drawing so many rows would take on this machine, roughly."""
    spec = ModelSpec(model.model_type, model.parameters, seed=0)
    return ENGINES[model.engine].estimate(table, spec, sample_size)


def describe_model_types(limits: Limits | None = None) -> tuple[ModelTypeDescription, ...]:
    """Every model type with its parameters, under the deployment's limits."""
    return tuple(_describe(name, limits or Limits()) for name in model_types())


def _choose_engine(model_type: object, engine: str) -> str:
    known = model_types()
    if model_type is None:
        raise _invalid((("model_config", "model_type"), "missing", f"Field required: one of {', '.join(known)}"))
    if not isinstance(model_type, str) or model_type not in known:
        message = f"There is no such model type; choose one of {', '.join(known)}"
        raise _invalid((("model_config", "model_type"), "unknown_model_type", message))
    having = engines_of(model_type)
    if engine and engine not in having:
        message = f"There is no such engine for {model_type}; choose one of {', '.join(having)}"
        raise _invalid((("engine",), "unknown_engine", message))
    return engine or having[0]


def _validated(table: type[Parameters], values: Mapping[str, object], limits: Limits) -> Parameters:
    """Validates and, where it fails, says where in the request."""
    try:
        return table.model_validate(dict(values), context=limits)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_input=False):
            unknown = fault["type"] == "extra_forbidden"
            message = f"No such parameter; there are {', '.join(table.model_fields)}" if unknown else fault["msg"]
            faults.append((("model_config", *fault["loc"]), fault["type"], message))
        raise _invalid(*faults) from error


def _fitted_to_table(checked: Parameters, rows: int | None) -> tuple[dict[str, object], tuple[str, ...]]:
    """The parameters in force and what was adjusted, in words."""
    faults = list(checked.contradictions())
    parameters, adjustments = checked.in_force(), []
    try:
        for change in checked.adjustments(rows) if rows is not None else ():
            parameters[change.parameter] = change.value
            adjustments.append(f"{change.parameter} was set to {change.value}: {change.reason}.")
    except Unsuitable as error:
        faults.append(error)
    if faults:
        raise _invalid(*((("model_config", fault.parameter), "unsuitable", str(fault)) for fault in faults))
    return parameters, tuple(adjustments)


def _invalid(*faults: tuple[tuple[int | str, ...], str, str]) -> ValidationError:
    """A ValidationError from faults, each a location, a kind and a message."""
    details = [
        InitErrorDetails(type=PydanticCustomError(_literal(kind), _literal(message)), loc=location, input=None)
        for location, kind, message in faults
    ]
    return ValidationError.from_exception_data("model_config", details)


def _literal(text: str) -> Any:
    """`text` for a parameter that is typed as a literal string, which a message made at run time never is."""
    return text


def _describe(name: str, limits: Limits) -> ModelTypeDescription:
    having = engines_of(name)
    table = ENGINES[having[0]].model_types[name].parameters
    parameters = tuple(_describe_parameter(table, field, limits) for field in table.model_fields)
    names = {parameter.name for parameter in parameters}
    recommended: Sequence[Recommendation] = RECOMMENDATIONS if {"epochs", "batch_size"} <= names else ()
    return ModelTypeDescription(name, having, table.description, parameters, tuple(recommended))


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
