"""The `.mirage` file: one safetensors file, whose metadata hold one JSON document. Nothing in it is code.

The document tells the format's version, what kind of model it is, and a digest of the rest of the document and of all
tensors; whoever gives a key gets a keyed digest (HMAC-SHA256) instead, which nobody without the key can make.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mirage_engine.errors import ModelFileRefused

FORMAT = 1
_ENTRY = "mirage"


def write(path: Path, kind: str, document: Mapping[str, Any], tensors: Mapping[str, Tensor], key: bytes | None) -> None:
    """Writes a file whole or not at all: it takes its name when all of it is on the disk."""
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    about = {**document, "format": FORMAT, "kind": kind}
    about["digest"] = _digest(about, plain, key)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        safetensors.torch.save_file(plain, partial, metadata={_ENTRY: json.dumps(about)})
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path, kind: str, key: bytes | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The document and the tensors of a file. Raises ModelFileRefused if it isn't one, or not as it was written."""
    try:
        with safe_open(path, "pt") as file:
            entry = (file.metadata() or {}).get(_ENTRY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
        about = json.loads(entry) if entry is not None else {}
    except (SafetensorError, ValueError) as error:
        raise ModelFileRefused(f"{path.name} is no model of ours, or is damaged") from error
    if about.get("kind") != kind:
        raise ModelFileRefused(f"{path.name} is no {kind}, or is damaged")
    if about["format"] > FORMAT:
        raise ModelFileRefused(f"{path.name} was written by a later version: update mirage_engine to read it")
    digest = about.pop("digest")
    if not hmac.compare_digest(digest, _digest(about, tensors, key)):
        told = "is damaged" if key is None else "is damaged, or was signed with another key"
        raise ModelFileRefused(f"{path.name} {told}")
    return about, tensors


def kind_of(path: Path) -> str:
    """The kind of model that a file says it holds. Raises ModelFileRefused if it is none."""
    try:
        with safe_open(path, "pt") as file:
            kind = json.loads((file.metadata() or {}).get(_ENTRY, "{}")).get("kind")
    except (SafetensorError, ValueError, AttributeError) as error:
        raise ModelFileRefused(f"{path.name} is no model of ours, or is damaged") from error
    if not isinstance(kind, str):
        raise ModelFileRefused(f"{path.name} is no model of ours, or is damaged")
    return kind


def _digest(about: Mapping[str, Any], tensors: Mapping[str, Tensor], key: bytes | None) -> str:
    digest: Any = hashlib.sha256() if key is None else hmac.new(key, digestmod="sha256")
    digest.update(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return str(digest.hexdigest())
