"""Bad input: a pydantic model says what is right, and every violation is reported at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from servicekit.errors import InvalidRequest, Violation
from servicekit.wording import in_words

ModelT = TypeVar("ModelT", bound=BaseModel)


def violations_of(error: ValidationError, model: type[BaseModel] | None, prefix: str = "") -> list[Violation]:
    """What a pydantic error says of what was read into `model`, field by field.

    `prefix` is the path of the model inside the request. Without a model, the error says it in our own words already.
    """
    violations = []
    for detail in error.errors(include_url=False):
        path = ".".join(str(part) for part in (*([prefix] if prefix else []), *detail["loc"]))
        violations.append(Violation(path or "request", in_words(detail, model)))
    return violations


def validated(model: type[ModelT], values: Mapping[str, Any], prefix: str = "") -> ModelT:
    """Reads `values` into `model`.

    Raises:
        InvalidRequest: with one violation for every wrong field.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidRequest(violations_of(error, model, prefix)) from None
