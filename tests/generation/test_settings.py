"""The generation service's settings."""

import pytest
from pydantic import ValidationError

from servicekit.settings import describe
from services.generation.settings import Settings


@pytest.mark.parametrize("name", ["max_epochs", "min_epochs"])
@pytest.mark.parametrize("value", ["0", "1000", "many"])
def test_epochs_that_no_model_takes(name: str, value: str) -> None:
    """A limit that would promise what GANs and VAEs can't take, or leave them nothing, is refused at the start."""
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: value})
    least = {"max_epochs": 10, "min_epochs": 1}[name]
    assert f"  {name.upper()}: must be a whole number from {least} to 500. Example: " in describe(
        Settings, caught.value
    )
