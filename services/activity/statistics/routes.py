"""The HTTP routes of RPCs, as their contracts name them."""

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.api import annotations_pb2

import mirage


@cache
def routes() -> dict[str, str]:
    """The first route of each RPC that has one, such as `GET /stats/usage`, by `package.Service/Method`."""
    found = {}
    for contract in _contracts():
        for service in contract.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                if verb := rule.WhichOneof("pattern"):
                    found[f"{service.full_name}/{method.name}"] = f"{verb.upper()} {getattr(rule, verb)}"
    return found


def _contracts() -> Iterator[Any]:
    """The descriptors of all files of contracts."""
    for directory in map(Path, mirage.__path__):
        for module in sorted(directory.glob("*/v1/*_pb2.py")):
            name = ".".join(module.relative_to(directory.parent).with_suffix("").parts)
            yield importlib.import_module(name).DESCRIPTOR
