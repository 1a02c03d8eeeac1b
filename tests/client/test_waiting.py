"""Commands that wait anyway."""

import pytest

from mirage.cli import waiting
from mirage.cli.waiting import when_ready
from mirage.errors import ConnectionFailed, Unavailable


def test_a_part_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is just being restarted is asked again; one that stays away, or no platform at all, is told of."""
    monkeypatch.setattr(waiting, "_PAUSE_S", 0.0)
    answers: list[Exception | str] = [Unavailable("not ready"), Unavailable("not ready"), "here"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert when_ready(ask) == "here"
    answers[:] = [ConnectionFailed("nobody"), "too late"]
    with pytest.raises(ConnectionFailed):
        when_ready(ask)
    monkeypatch.setattr(waiting, "_PATIENCE_S", 0.0)
    answers[:] = [Unavailable("not ready"), "too late"]
    with pytest.raises(Unavailable):
        when_ready(ask)
