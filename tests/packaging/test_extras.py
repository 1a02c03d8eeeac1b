"""Each service needs its own extra and nothing else: proved by importing it with every other package blocked."""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What each process imports at its start; the extra it is installed with.
PROCESSES = {
    "mirage.cli.app": "client",
    "services.activity.__main__": "activity",
    "services.auth.__main__": "auth",
    "services.dataset.__main__": "dataset",
    "services.generation.__main__": "generation",
    "services.generation.worker": "generation",
    "services.optimizer.__main__": "optimizer",
    "gateway.render": "gateway",
    "mirage_engine.__main__": "engine",
}

_BLOCKING_IMPORT = """
import importlib, json, sys

allowed = set(json.loads(sys.argv[2]))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        own_of_python = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if top not in allowed and not own_of_python:
            raise ModuleNotFoundError(f"{name} is not in this extra", name=name)
        return None

sys.meta_path.insert(0, Blocker())
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


def requirements_of(extra: str) -> list[Requirement]:
    """What pip would be asked to install for an extra, our own extras resolved."""
    lines = [*PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] if extra else ())]
    found = []
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            for inner in requirement.extras:
                found.extend(requirements_of(inner))
        else:
            found.append(requirement)
    return found


def distributions_of(extra: str) -> set[str]:
    """Names of every distribution that installing an extra brings, what they need in turn included."""
    pending = [(canonicalize_name(item.name), frozenset(item.extras)) for item in requirements_of(extra)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        name, extras = pending.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another platform or Python
            continue
        for requirement in map(Requirement, needed):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": wanted}) for wanted in ("", *extras)):
                pending.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in seen}


def modules_of(distributions: set[str]) -> set[str]:
    """Top-level modules of distributions."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for module, names in metadata.packages_distributions().items():
        owners[module].update(canonicalize_name(name) for name in names)
    # The protobuf runtime's compiled part lies beside its package, under a name no metadata tells.
    return {module for module, names in owners.items() if names & distributions} | {"google"}


def own_packages() -> set[str]:
    """Our own top-level packages."""
    return {path.parent.name for path in ROOT.glob("*/__init__.py")}


@pytest.mark.parametrize(("module", "extra"), PROCESSES.items(), ids=PROCESSES)
def test_imports_with_its_own_extra_alone(module: str, extra: str) -> None:
    """A process starts where only its own extra is installed."""
    allowed = modules_of(distributions_of(extra)) | own_packages()
    result = subprocess.run(
        [sys.executable, "-c", _BLOCKING_IMPORT, module, json.dumps(sorted(allowed))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("module", [module for module in PROCESSES if module.startswith("services.")])
def test_no_process_loads_what_it_may_not_need(module: str) -> None:
    """No server, nor the worker's own process, loads torch, SDV or what they build on: only the training child does.

    Nor anything of OpenTelemetry, which is loaded where a collector is set.
    """
    allowed = modules_of(distributions_of("local")) | own_packages()
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            _BLOCKING_IMPORT,
            module,
            json.dumps(sorted(allowed - {"torch", "sdv", "pandas", "sklearn", "opentelemetry"})),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_auth_image_holds_no_torch() -> None:
    """Only what trains models installs torch."""
    holders = {
        extra
        for extra in ("", "activity", "auth", "dataset", "generation", "optimizer")
        if "torch" in distributions_of(extra)
    }
    assert holders == {"generation"}


def test_the_engine_is_free_of_restrictive_licences() -> None:
    """Installing Mirage's own engine brings none of the packages under the Business Source License."""
    restricted = {"sdv", "ctgan", "rdt", "copulas", "deepecho"}
    assert restricted & distributions_of("generation")  # the names are those of distributions
    assert restricted & distributions_of("engine") == set()


def test_the_engine_knows_nothing_of_the_platform() -> None:
    """Mirage's own engine imports nothing else of Mirage, no gRPC and no database."""
    imported = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
    found = {name for path in ROOT.glob("mirage_engine/**/*.py") for name in imported.findall(path.read_text())}
    assert "torch" in found
    assert found & (own_packages() - {"mirage_engine"} | {"grpc", "sqlalchemy", "asyncpg", "pandas", "sdv"}) == set()


def test_services_do_not_import_each_other() -> None:
    """A service knows another by its contract only, servicekit knows no service, and the client knows none of both."""
    own_import = re.compile(r"^\s*(?:from|import)\s+(services\.\w+|services|servicekit|deploy|gateway)\b", re.MULTILINE)
    wrong = []
    for path in [*ROOT.glob("services/**/*.py"), *ROOT.glob("servicekit/**/*.py"), *ROOT.glob("mirage/**/*.py")]:
        parts = path.relative_to(ROOT).parts
        welcome = {
            "services": {f"services.{parts[1].removesuffix('.py')}", "servicekit"},
            "servicekit": {"servicekit"},
            "mirage": set(),
        }[parts[0]]
        wrong += [
            f"{path.relative_to(ROOT)}: {name}" for name in own_import.findall(path.read_text()) if name not in welcome
        ]
    assert wrong == []
