"""Makes what follows from the contracts: `python -m protos.generate`.

That is the Python stubs, and what the gateway serves by: the descriptor set and the OpenAPI document. With `--check`
nothing is written: the exit status is 1 where a committed file differs from what the contracts say.
"""

import argparse
import filecmp
import json
import shutil
import sys
import tempfile
from pathlib import Path

import google.api.annotations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "protos"
# googleapis-common-protos and grpcio-tools carry the .proto files that ours import.
COMMON_PROTOS = Path(google.api.annotations_pb2.__file__).resolve().parents[2]
WELL_KNOWN_PROTOS = Path(protoc.__file__).resolve().parent / "_proto"


def contract_files() -> list[str]:
    """Paths of all contracts, relative to the contracts' root, sorted."""
    return sorted(str(path.relative_to(CONTRACTS)) for path in CONTRACTS.rglob("*.proto"))


def run_protoc(*arguments: str) -> None:
    """Runs the protocol buffer compiler over our import path.

    Raises:
        SystemExit: the compiler refused a file; it has said why on standard error.
    """
    includes = (f"-I{CONTRACTS}", f"-I{COMMON_PROTOS}", f"-I{WELL_KNOWN_PROTOS}")
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin={name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    status = protoc.main(["protoc", *includes, *plugins, *arguments])
    if status != 0:
        raise SystemExit(status)


def generate_stubs(destination: Path) -> None:
    """Writes `*_pb2.py`, `*_pb2_grpc.py` and their type stubs below `destination`."""
    outputs = [f"--{kind}_out={destination}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    run_protoc(*outputs, *contract_files())


def write_descriptor_set(path: Path, *, with_comments: bool = False) -> None:
    """Writes everything the contracts define and import as one FileDescriptorSet.

    `google/rpc` details are named besides, since the gateway can only show error details that it finds here.
    """
    details = ["google/rpc/error_details.proto", "google/rpc/status.proto"]
    comments = ["--include_source_info"] if with_comments else []
    run_protoc("--include_imports", *comments, f"--descriptor_set_out={path}", *contract_files(), *details)


def write_openapi_document(path: Path) -> None:
    """Writes the OpenAPI document of the HTTP routes, with the contracts' comments."""
    from gateway.openapi import make_document  # needs the stubs

    with tempfile.TemporaryDirectory() as directory:
        commented = Path(directory, "contracts.binpb")
        write_descriptor_set(commented, with_comments=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(commented.read_bytes())
    document = json.dumps(make_document(files), ensure_ascii=False, indent=1)
    path.write_text(f"{document}\n", encoding="utf-8")


def generate(destination: Path) -> None:
    """Writes everything below `destination`, where it stands in the repository."""
    generate_stubs(destination)
    generate_served(destination)


def generate_served(destination: Path) -> None:
    """Writes what the gateway serves by, below `destination`; the stubs in the repository must be up to date."""
    gateway = destination / "gateway"
    gateway.mkdir(exist_ok=True)
    write_descriptor_set(gateway / "descriptors.binpb")
    write_openapi_document(gateway / "openapi.json")


def generated_below(root: Path) -> set[Path]:
    """Relative paths of the generated files below `root`."""
    stubs = (path for path in (root / "mirage").rglob("*_pb2*.py*") if "__pycache__" not in path.parts)
    served = (root / "gateway" / name for name in ("descriptors.binpb", "openapi.json"))
    return {path.relative_to(root) for path in (*stubs, *served) if path.exists()}


def drifted() -> list[Path]:
    """Committed files that are not what the contracts make: changed, missing or left over."""
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate(fresh)
        expected, found = generated_below(fresh), generated_below(ROOT)
        changed = {path for path in expected & found if not filecmp.cmp(fresh / path, ROOT / path, shallow=False)}
        return sorted(changed | (expected ^ found))


def main() -> int:
    """Generates, or with `--check` compares; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where committed files have drifted")
    if parser.parse_args().check:
        stale = drifted()
        for path in stale:
            print(f"drifted from the contracts: {path} (run: make protos)", file=sys.stderr)
        return 1 if stale else 0
    with tempfile.TemporaryDirectory() as directory:
        generate_stubs(Path(directory))
        for path in generated_below(ROOT):
            (ROOT / path).unlink()
        shutil.copytree(directory, ROOT, dirs_exist_ok=True)
    generate_served(ROOT)  # by the new stubs: an option that they know may be new
    return 0


if __name__ == "__main__":
    sys.exit(main())
