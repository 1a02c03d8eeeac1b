"""The HTTP routes of RPCs, as their contracts name them."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
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
    for package in pkgutil.iter_modules(mirage.__path__, "mirage."):
        path = [f"{directory}/{package.name.rpartition('.')[2]}/v1" for directory in mirage.__path__]
        for module in pkgutil.iter_modules(path, f"{package.name}.v1."):
            if module.name.endswith("_pb2"):
                yield importlib.import_module(module.name).DESCRIPTOR
