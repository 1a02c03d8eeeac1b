"""Logs: one JSON object a line in the common shape, without secrets."""

import json
import subprocess
import sys

_PROGRAM = """
import logging, structlog
from servicekit import logs
logs.configure("auth")
structlog.contextvars.bind_contextvars(request_id="r-1", user_id="u-1")
structlog.get_logger("somewhere").info("signed_in", session_id="s-1", password="hunter2", access_token="ey")
logging.getLogger("library").warning("careful")
from servicekit.security import SecurityEvent, report
report(SecurityEvent.SIGN_IN_FAILED, cause="wrong_password", subject="u-2")
try:
    cell = "a cell of a table"
    raise ValueError("bad")
except ValueError:
    structlog.get_logger("somewhere").exception("failed")
structlog.get_logger("somewhere").debug("unseen")
"""


def test_shape_and_secrets() -> None:
    """Every line has the common fields; the rest is metadata; secrets are removed; no local variable is shown."""
    output = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True).stdout
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["message"] for line in lines] == ["signed_in", "careful", "sign_in_failed", "failed"]
    for line in lines:
        assert {"timestamp", "level", "module", "service", "request_id", "user_id", "message", "metadata"} <= set(line)
    assert (lines[0]["service"], lines[0]["request_id"], lines[0]["user_id"]) == ("auth", "r-1", "u-1")
    assert lines[0]["metadata"]["session_id"] == "s-1"
    assert lines[1]["level"] == "warning"
    assert lines[2]["metadata"] == {
        "event": "sign_in_failed",
        "security": True,
        "cause": "wrong_password",
        "subject": "u-2",
        "client_address": None,
    }
    assert "ValueError: bad" in lines[3]["exception"]
    assert "hunter2" not in output
    assert '"ey"' not in output
    assert "a cell of a table\\n" not in lines[3]["exception"].replace('cell = "a cell of a table"', "")
