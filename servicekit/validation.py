"""Bad input: a pydantic model says what is right, and every violation is reported at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from servicekit.errors import InvalidRequest, Violation

ModelT = TypeVar("ModelT", bound=BaseModel)

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
}


def violations_of(error: ValidationError, prefix: str = "") -> list[Violation]:
    """What a pydantic error says, field by field; `prefix` is the path of the model inside the request."""
    violations = []
    for detail in error.errors(include_url=False):
        path = ".".join(str(part) for part in (*([prefix] if prefix else []), *detail["loc"]))
        # pydantic marks what our own validators say with "Value error, ", which is noise to a user.
        text = _WORDS.get(detail["type"], detail["msg"].removeprefix("Value error, "))
        violations.append(Violation(path or "request", text))
    return violations


def validated(model: type[ModelT], values: Mapping[str, Any], prefix: str = "") -> ModelT:
    """Reads `values` into `model`.

    Raises:
        InvalidRequest: with one violation for every wrong field.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidRequest(violations_of(error, prefix)) from None
