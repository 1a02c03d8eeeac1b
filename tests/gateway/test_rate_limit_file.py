"""The file of rate limits: what it says of each RPC, what is refused in it, and what becomes of it in a cluster."""

from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from gateway.contracts import read_descriptor_set, routed_rpcs
from gateway.rate_limits import DEFAULT_FILE, Limit, WrongRateLimits, read_rate_limits
from gateway.render import write_configuration
from gateway.settings import GatewaySettings
from tests.gateway.test_render import ADDRESSES

RPCS = {rpc.title: rpc for rpc in routed_rpcs(read_descriptor_set())}


def limit_of(title: str) -> str:
    """The limit of an RPC by the default file, as the file writes it."""
    limits = read_rate_limits(DEFAULT_FILE)
    limit = limits.limits[limits.rule_of(RPCS[title]).class_name]
    return f"{limit.requests}/{limit.unit}"


@pytest.mark.parametrize(
    ("limit", "titles"),
    [
        ("5/minute", ["SessionService.Register", "SessionService.Login", "TokenService.IssueToken"]),
        ("20/minute", ["AccountService.GetMe"]),
        ("10/minute", ["DatasetService.UploadDataset", "DatasetService.CreateDatasetVersion"]),
        ("10/minute", ["JobService.StartJob", "StudyService.StartStudy"]),
        ("120/minute", ["JobService.GetJob", "JobService.WatchJob", "StudyService.WatchStudy"]),
        ("60/minute", ["DatasetService.ListDatasets", "JobService.ListJobs", "AdministrationService.ListUsers"]),
        ("10/minute", ["DatasetService.DeleteDataset", "JobService.CancelJob", "AdministrationService.DeleteUser"]),
        ("60/minute", ["DatasetService.UpdateDataset", "SessionService.Refresh"]),
    ],
)
def test_default_limits(limit: str, titles: list[str]) -> None:
    """The platform's own file has the limits that were promised."""
    assert [limit_of(title) for title in titles] == [limit] * len(titles)


def test_default_limits_of_pages() -> None:
    """So it has for health and the documentation."""
    limits = read_rate_limits(DEFAULT_FILE).limits
    assert (limits["health"], limits["docs"]) == (Limit(100, "minute"), Limit(50, "minute"))
    assert limits["default"] == limits["signed_out"] == Limit(60, "minute")


def test_every_route_is_limited(tmp_path: Path) -> None:
    """Every route of Envoy's says which limit it has, by user and by address; open RPCs know no users."""
    configuration = yaml.safe_load(write_configuration(tmp_path, GatewaySettings(**ADDRESSES)).read_text())
    [listener] = [each for each in configuration["static_resources"]["listeners"] if "address" in each]
    hosts = listener["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    routes = [route for host in hosts for route in host["routes"] if route["name"] not in ("upload", "raw-body")]
    classes = set(read_rate_limits(DEFAULT_FILE).limits)
    met = set()
    for route in routes:
        said = route["metadata"]["filter_metadata"]["rate_limit"]
        assert {said["address_class"], said.get("user_class", "default")} <= classes
        rpc = RPCS.get(route["name"])
        assert ("user_class" in said) == (rpc is not None and not rpc.is_open)
        met.add(route["name"])
    assert met >= RPCS.keys() | {"documentation", "health", "none", "host-not-allowed"}


def test_everything_wrong_is_told(tmp_path: Path) -> None:
    """A wrong file is refused with every wrong field, each by its place and with what would be right."""
    wrong = """
default: 5/minut
health: 0/minute
helth: 5/minute
classes:
  Sign-In: {limit: 5/minute, rpcs: [mirage.auth.v1.SessionService/Login]}
  me: {limit: 5, rpcs: [mirage.auth.v1.AccountService/GetMy], more: 1}
  none: {together: perhaps, rpcs: []}
  lists: {limit: 1/day, rpcs: ['mirage.*/List*']}
  users: {limit: 2/day, rpcs: ['mirage.auth.*/ListU*']}
"""
    told = refusal(tmp_path, wrong)
    for fault in (
        "default: must be 1 to 999999 requests in one of second, minute, hour, day, such as 60/minute",
        "health: must be 1 to",
        "helth: is not a known field",
        "classes.Sign-In: a class's name must be",
        "classes.me.limit: must be 1 to",
        "classes.me.rpcs.0: no RPC has this name; did you mean mirage.auth.v1.AccountService/GetMe?",
        "classes.me.more: is not a known field",
        "classes.none.limit: is required",
        "classes.none.together: must be true or false",
        "classes.none.rpcs: is required",
        "classes: mirage.auth.v1.AdministrationService/ListUsers is in lists and in users; it can have one limit",
    ):
        assert fault in told
    assert len(told.splitlines()) == 1 + 11


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "must have fields"),
        ("[1, 2]", "must have fields"),
        ("default: 5/minute\nclasses: {a: [", "line 2"),
        ("default: 5/minute\ndefault: 6/minute", "line 2: default is given twice"),
        ("default: !!python/object:os.system {}", "line 1"),
        ("default: 5/minute\nclasses: {a: 3}", "classes.a: must be a class"),
        ("default: 5/minute\nclasses: {docs: {limit: 5/minute, rpcs: ['*']}}", "can't be the name of a class"),
        ("\x00", "not YAML"),
        ("classes: {}", "default: is required"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: str, fault: str) -> None:
    """What isn't such a file at all is told by where it goes wrong."""
    assert fault in refusal(tmp_path, content)


def refusal(directory: Path, content: str) -> str:
    """What is told of a file with this content."""
    file = directory / "limits.yaml"
    file.write_text(content)
    with pytest.raises(WrongRateLimits) as refused:
        read_rate_limits(file)
    assert str(file) in str(refused.value)
    return str(refused.value)


def test_a_whole_name_counts_for_more(tmp_path: Path) -> None:
    """An RPC may be taken out of a class by naming it in another, and what is left out has the default limit."""
    file = tmp_path / "limits.yaml"
    file.write_text(
        "default: 7/hour\nclasses:\n  all: {limit: 3/second, together: true, rpcs: ['mirage.auth.*']}\n"
        "  one: {limit: 2/day, rpcs: [mirage.auth.v1.SessionService/Login]}\n"
    )
    limits = read_rate_limits(file)
    assert limits.limits["health"] == limits.limits["signed_out"] == Limit(7, "hour")
    of = {title: limits.rule_of(rpc) for title, rpc in RPCS.items()}
    assert (of["SessionService.Login"].class_name, of["SessionService.Login"].bucket) == ("one", "SessionService.Login")
    assert (of["AccountService.GetMe"].class_name, of["AccountService.GetMe"].bucket) == ("all", "all")
    assert of["JobService.GetJob"].class_name == "default"


def test_settings(tmp_path: Path) -> None:
    """`RATE_LIMITS` is a file that will do, or off in any case; production takes no off."""
    file = tmp_path / "limits.yaml"
    file.write_text("default: 5/minute")
    assert GatewaySettings(**ADDRESSES).rate_limits_file == DEFAULT_FILE
    assert GatewaySettings(**ADDRESSES, rate_limits=str(file)).rate_limits_file == file
    assert GatewaySettings(**ADDRESSES, rate_limits=" OFF").rate_limits_file is None
    cases: list[tuple[dict[str, Any], str]] = [
        ({"rate_limits": str(tmp_path / "nothing.yaml")}, "can't be read"),
        ({"rate_limits": str(tmp_path)}, "can't be read"),
        ({"rate_limits": "off", "environment": "production"}, "RATE_LIMITS=off is refused"),
        ({"rate_limit_service_address": "nowhere"}, "must be host:port"),
    ]
    for given, fault in cases:
        with pytest.raises(pydantic.ValidationError, match=fault):
            GatewaySettings(**ADDRESSES, **given)
