"""The generation service's settings."""

import pytest

from servicekit.settings import load
from services.generation.settings import Settings


@pytest.mark.parametrize(("name", "least"), [("MAX_EPOCHS", 10), ("MIN_EPOCHS", 1)])
@pytest.mark.parametrize("value", ["0", "1000", "many"])
def test_epochs_that_no_model_takes(
    name: str, least: int, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit that would promise what GANs and VAEs can't take, or leave them nothing, is refused at the start."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(Settings)
    assert f"  {name}: must be a whole number from {least} to 500. Example: {name}=" in capsys.readouterr().err
