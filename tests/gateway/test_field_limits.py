"""Values outside of their fields' limits: told beside what else is wrong, and left to the services by themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.render import write_configuration
from gateway.settings import GatewaySettings
from mirage.auth.v1 import account_pb2, session_pb2
from mirage.generation.v1 import job_pb2
from servicekit.limits import fault
from tests.gateway.test_requests import JSON, START, violations_of
from tests.gateway.upstream import Upstream

REGISTER = "/mirage.auth.v1.SessionService/Register"


def _told(client: httpx.Client, path: str, verb: str = "POST", **fields: Any) -> dict[str, str]:
    """What is told of each field where there is an unknown one beside them."""
    for escaped in (True, False):  # é as an escape, and as it is
        content = json.dumps({**fields, "nonsense": 1}, ensure_ascii=escaped).encode()
        found = violations_of(client.request(verb, path, content=content, headers=JSON))
        assert found.pop("nonsense").startswith("is not known here")
    return found


def test_all_kinds_of_faults_at_once(signed_in: httpx.Client) -> None:
    """A mistyped name, a wrong type, a number out of range and what is missing come in one answer."""
    assert _told(signed_in, "/auth/register", email="evex", password="abc", nmae="E") == {
        "nmae": violations_of(signed_in.post("/auth/register", json={"nmae": "E"}))["nmae"],
        "email": "must be an e-mail address, such as ada@example.org",
        "password": "must have 10 to 128 characters",
        "display_name": "is required",
    }
    assert _told(signed_in, "/generation/start", dataset_id="d", seed="x", sample_size=0, holdout_fraction=0.51) == {
        "seed": "must be a whole number from 0 to 4294967295",
        "sample_size": "must be a whole number from 1 to 100000",
        "holdout_fraction": "must be a number from 0 to 0.5",
    }
    assert violations_of(signed_in.get("/datasets?page_size=-1&pagesize=1&visibility=secret&visibility=")) == {
        "page_size": "must be a whole number of at least 0",
        "pagesize": "is not known here; did you mean page_size?",
        "visibility": "is given twice",
    }


def test_limits_alone_are_the_services_own(signed_in: httpx.Client, upstream: Upstream) -> None:
    """Where nothing else is wrong the service judges, which tells what only it knows in the same answer."""
    upstream.on(START, lambda request, _context: job_pb2.Job(sample_size=request.sample_size))
    answer = signed_in.post("/generation/start", json={"sample_size": 200_000, "columns": ["none"]})
    assert answer.json()["data"]["sample_size"] == 200_000
    upstream.on(REGISTER, lambda _request, _context: account_pb2.User())
    assert signed_in.post("/auth/register").status_code == 200
    assert upstream.last_call.requests == [session_pb2.RegisterRequest()]


@pytest.mark.parametrize(
    ("name", "is_right"),
    [
        ("é" * 100, True),
        ("é" * 101, False),
        ("\N{PILE OF POO}" * 100, True),  # four bytes, and two escapes
        ("\N{PILE OF POO}" * 101, False),
        ("  \N{NO-BREAK SPACE}\N{EM SPACE}" + "é" * 100 + "\N{IDEOGRAPHIC SPACE}\t ", True),
        ("\N{NO-BREAK SPACE} \N{EM SPACE}", False),
        ("", False),
        ("a\nb", False),
        ("a\0b", False),
        ("a\N{LINE SEPARATOR}b", False),
        ("a\x85b", False),
        ('"\\/', True),
    ],
)
def test_texts(signed_in: httpx.Client, name: str, is_right: bool) -> None:
    """A text has as many characters as people see in it, however it is written, less the space around it."""
    told = _told(signed_in, "/auth/me", "PUT", display_name=name)
    words = "must have 1 to 100 characters and be one line without control characters"
    assert told == ({} if is_right else {"display_name": words})


_STRANGE = ' \t\n\x1c\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000\0\x7f\\"/u@.-é\N{PILE OF POO}'
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(_STRANGE), max_size=12)


@given(
    text=_TEXTS | st.builds(lambda text, times: text * times, _TEXTS, st.integers(1, 40)),
    field=st.sampled_from(["display_name", "email"]),
    ascii_only=st.booleans(),
)
@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_is_judged_as_services_judge_it(
    signed_in: httpx.Client, text: str, field: str, ascii_only: bool
) -> None:
    """The gateway's script and the services' code find the same texts wrong."""
    content = json.dumps({field: text, "nonsense": 1}, ensure_ascii=ascii_only).encode()
    found = violations_of(signed_in.put("/auth/me", content=content, headers=JSON))
    assert found.get(field) == fault(account_pb2.UpdateMeRequest.DESCRIPTOR.fields_by_name[field], text)


@pytest.mark.parametrize(
    ("path", "verb", "field", "right", "wrong"),
    [
        ("/auth/me", "PUT", "email", ["ada@example.org", " a.b+c@é.example "], ["ada", "a@b@c", "@", "a b@c"]),
        (
            "/users/profile",
            "PUT",
            "locale",
            ["", "de", "zh-Hant-TW", " en-GB "],
            ["d", "en_GB", "en-", "en-ninechars1"],
        ),
        ("/datasets/d", "PUT", "visibility", ["public", "private", None], ["Public", "", "x" * 100_000]),
        ("/datasets/d", "PUT", "description", ["a\nb", "é" * 2000], ["a\0b", "é" * 2001]),
        ("/generation/models/m/sample", "POST", "n", [1, 1.0, 100_000, 1e5], [0, -1, 100_001]),
        ("/generation/models/m/sample", "POST", "format", ["", "csv"], ["xlsx"]),
        ("/admin/reject/j", "POST", "reason", ["no", "é" * 1000], ["", None, "é" * 1001]),
        ("/auth/api-keys", "POST", "scopes", [["account:read"]], [[], None]),
        ("/generation/evaluate", "POST", "sensitive_columns", [[], ["a"] * 10, None], [["a"] * 11]),
    ],
)
def test_other_limits(
    signed_in: httpx.Client, path: str, verb: str, field: str, right: list[Any], wrong: list[Any]
) -> None:
    """Ranges, choices, formats and what must be given, on both sides of their bounds."""
    for value in right:
        assert field not in _told(signed_in, path, verb, **{field: value}), value
    for value in wrong:
        assert field in _told(signed_in, path, verb, **{field: value}), value


def test_limits_inside_messages(signed_in: httpx.Client) -> None:
    """A limit is told by its place: in lists, in messages of lists, and in a message that is the body's part."""
    columns = [{"type": "number"}, {"name": "a", "role": "key"}, {"name": ""}]
    assert _told(signed_in, "/datasets/d", "PUT", columns=columns).keys() == {
        "columns.0.name",
        "columns.0.type",
        "columns.1.role",
        "columns.2.name",
    }
    assert _told(signed_in, "/auth/api-keys", name="a", scopes=["account:read", "all"]).keys() == {"scopes.1"}
    assert violations_of(signed_in.post("/auth/register?nonsense=1")).keys() == {
        "nonsense",
        "email",
        "password",
        "display_name",
    }


def test_what_is_wrong_otherwise_is_told_first(signed_in: httpx.Client) -> None:
    """Values outside of limits never crowd out what the request is refused for, and are counted with the rest."""
    found = violations_of(signed_in.put("/datasets/d", json={"columns": [{}] * 1000, "nonsense": 1}))
    assert next(iter(found)) == "nonsense"
    assert found["…"] == f"and {1001 - (len(found) - 1)} more wrong fields"


def test_limits_that_settings_govern(
    upstream: Upstream, settings_for: Callable[..., GatewaySettings], tmp_path: Path
) -> None:
    """Check and documentation tell the bounds that the deployment sets, and the defaults where it sets none."""
    write_configuration(tmp_path, settings_for(upstream, min_sample_size=5, max_sample_size=70))
    assert "must be a whole number from 5 to 70" in (tmp_path / "lua" / "contracts.lua").read_text()
    document = json.loads((tmp_path / "docs" / "openapi.json").read_text())
    for message, field in (("StartJobRequest", "sample_size"), ("SampleModelRequest", "n")):
        schema = document["components"]["schemas"][message]["properties"][field]
        assert (schema["minimum"], schema["maximum"]) == (5, 70)
        assert schema["x-maximum-setting"] == "MAX_SAMPLE_SIZE"
    with pytest.raises(ValueError, match="MIN_SAMPLE_SIZE"):
        settings_for(upstream, min_sample_size=71, max_sample_size=70)
