"""The dashboard, the alerts and the documentation speak of metrics that a running platform tells, and of no others."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pandas as pd
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from mirage import Client
from tests.support.platform import PlatformForTests

pytestmark = pytest.mark.xdist_group("platform")

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
OPERATIONS = ROOT / "docs" / "operations.md"
FLIGHTS = ROOT / "demo" / "flights.csv"

# What Prometheus itself adds to what it scrapes, and the label that our list of targets gives.
OF_THE_TARGET = frozenset({"job", "instance", "part"})
# Labels whose values come with what happens: that a series with one of these is there can't be asked for.
BY_WHAT_HAPPENS = frozenset({"grpc_code"})
OWN = re.compile(r"^(mirage|grpc_server)_")

Series = Mapping[str, Sequence[Mapping[str, str]]]
"""The labels of every series, by the metric's name."""


@dataclass(frozen=True)
class Selector:
    """What a query asks for: a metric, with what its labels are to be."""

    name: str
    matchers: Sequence[promql_parser.Matcher]

    @classmethod
    def of(cls, selector: promql_parser.VectorSelector) -> "Selector":
        """Takes it from the parsed query."""
        return cls(selector.name or "", selector.matchers.matchers)


def _nodes(node: Any) -> Iterator[Any]:
    """A query and all its parts."""
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "args"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if type(each).__module__.startswith(("promql_parser", "builtins")) and hasattr(each, "prettify"):
                yield from _nodes(each)


def _query(text: str) -> Any:
    return promql_parser.parse(text.replace("$__rate_interval", "5m"))


def _selectors(query: Any) -> list[Selector]:
    return [Selector.of(node) for node in _nodes(query) if isinstance(node, promql_parser.VectorSelector)]


def _grouped_by(query: Any) -> set[str]:
    """The labels by which a query sums up."""
    aggregates = [node for node in _nodes(query) if isinstance(node, promql_parser.AggregateExpr)]
    return {label for node in aggregates if node.modifier for label in node.modifier.labels}


def _panels() -> list[dict[str, Any]]:
    dashboard = json.loads((MONITORING / "grafana" / "dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _queries() -> dict[str, str]:
    """Every query of the dashboard and the alerts, by what it is for."""
    shown = {
        f"{panel['title']} {target['refId']}": target["expr"] for panel in _panels() for target in panel["targets"]
    }
    return shown | {alert["alert"]: alert["expr"] for alert in _alerts()}


def _targets(platform: PlatformForTests) -> dict[str, str]:
    """Where each process tells its metrics, by its name: as Prometheus finds out."""
    groups = json.loads(platform.platform.home.metrics.read_text())
    return {group["labels"]["part"]: group["targets"][0] for group in groups}


@pytest.fixture(scope="module")
def told(platform: PlatformForTests) -> Series:
    """What all processes tell, once somebody has used the platform."""
    with Client(platform.url) as client:
        client.register(f"{uuid4().hex}@example.org", "correct horse battery", "Ada")
        dataset = client.datasets.upload(pd.read_csv(FLIGHTS, nrows=200), name="flights")
        client.generate(dataset, "gaussian_copula", rows=20, progress=False)
    deadline = time.monotonic() + 60
    while not (series := _scraped(platform)).get("mirage_job_stage_seconds_bucket"):  # the worker's last word is later
        assert time.monotonic() < deadline
    return series


def _scraped(platform: PlatformForTests) -> dict[str, list[Mapping[str, str]]]:
    series: dict[str, list[Mapping[str, str]]] = {}
    for address in _targets(platform).values():
        text = httpx.get(f"http://{address}/metrics", timeout=10).raise_for_status().text
        names = set(re.findall(r"^\w+", text, re.MULTILINE))
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            # The parser gives every counter its suffix, which Envoy's have not.
            name = sample.name if sample.name in names else sample.name.removesuffix("_total")
            series.setdefault(name, []).append(sample.labels)
    return series


def test_every_process_tells(platform: PlatformForTests) -> None:
    """Each process of ours, and Envoy, is among the targets."""
    with_metrics = {name for name in platform.states() if name not in ("postgres", "object-store")}
    assert set(_targets(platform)) == with_metrics


def test_nothing_by_the_gateway(platform: PlatformForTests) -> None:
    """The public gateway tells nobody its metrics, nor anything of its administration."""
    for path in ("/metrics", "/stats/prometheus", "/api/v1/metrics", "/stats", "/config_dump"):
        assert httpx.get(f"{platform.url}{path}").status_code == 404


def test_gateways_metrics_port_serves_metrics_alone(platform: PlatformForTests) -> None:
    """By the port of Envoy's metrics nobody reaches the rest of its administration."""
    address = _targets(platform)["gateway"]
    for path in ("/", "/quitquitquit", "/config_dump", "/stats", "/metrics/../quitquitquit", "/metrics%2f..%2fstats"):
        assert httpx.get(f"http://{address}{path}").status_code in (400, 404)
    assert httpx.post(f"http://{address}/metrics").status_code == 404


def test_queries_name_what_there_is(told: Series) -> None:
    """Every metric, label and value that the dashboard and the alerts ask for is among what the platform tells."""
    wrong = []
    for title, text in _queries().items():
        query = _query(text)
        selectors = _selectors(query)
        assert selectors, title
        labels = {label for each in selectors for series in told.get(each.name, ()) for label in series}
        wrong += [f"{title}: no label {label}" for label in _grouped_by(query) - labels - OF_THE_TARGET]
        wrong += [f"{title}: {fault}" for each in selectors if (fault := _fault(each, told))]
    assert wrong == []


def _fault(selector: Selector, told: Series) -> str:
    if selector.name == "up":  # Prometheus's own
        return ""
    series = told.get(selector.name)
    if not series:
        return f"no metric {selector.name}"
    asked = [each for each in selector.matchers if each.name not in OF_THE_TARGET]
    if unknown := {each.name for each in asked if each.name not in BY_WHAT_HAPPENS} - {k for s in series for k in s}:
        return f"{selector.name} has no label {unknown}"
    exact = {each.name: each.value for each in asked if each.op is promql_parser.MatchOp.Equal}
    if not any(exact.items() <= labels.items() for labels in series):
        return f"{selector.name} has no series with {exact}"
    return ""


def test_documented_metrics(told: Series) -> None:
    """The table in the documentation lists the platform's own metrics: all that there are, and nothing else."""
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told if OWN.match(name)}
    documented = set(re.findall(r"^\| `((?:mirage|grpc_server)_\w+)`", OPERATIONS.read_text(), re.MULTILINE))
    assert documented == families


def test_labels_are_bounded(told: Series) -> None:
    """No id, address or name of anybody's is in any label."""
    ids = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|@|\d+\.\d+\.\d+\.\d+")
    own = [(name, labels) for name, series in told.items() if OWN.match(name) for labels in series]
    assert [(name, labels) for name, labels in own if ids.search(" ".join(labels.values()))] == []


def test_alerts_say_what_to_do() -> None:
    """Each alert has a severity, says how long it waits, and names the heading under which it says what to do."""
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", OPERATIONS.read_text(), re.MULTILINE)}
    alerts = _alerts()
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["for"]
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor == alert["alert"].lower()
        assert anchor in headings
    assert headings >= {alert["alert"].lower() for alert in alerts}


def test_panels() -> None:
    """Each panel has a title of its own, a unit, and a place that no other panel has."""
    panels = _panels()
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)


@pytest.mark.skipif(not shutil.which("promtool"), reason="NO PROMTOOL, SO NO TESTS OF THE ALERTS' RULES")
def test_alerts_fire() -> None:
    """Each alert keeps quiet while all is well and fires when it isn't, as Prometheus itself judges its rules."""
    tested = {
        expected["alertname"]
        for test in yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
        for expected in test["alert_rule_test"]
        if expected["exp_alerts"]
    }
    assert tested == {alert["alert"] for alert in _alerts()}
    for command in ("check rules alerts.yml", "test rules alerts_test.yml", "check config prometheus.yml"):
        result = subprocess.run(
            ["promtool", *command.split()], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
