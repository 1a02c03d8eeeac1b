"""Makes the Python stubs and the descriptor sets from the contracts: `python -m protos.generate`.

With `--check` nothing is written: the exit status is 1 where a committed stub differs from what the contracts say.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

import google.api.annotations_pb2
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


def stubs_below(root: Path) -> set[Path]:
    """Relative paths of the generated files below `root`."""
    return {path.relative_to(root) for path in (root / "mirage").rglob("*_pb2*.py*") if "__pycache__" not in path.parts}


def drifted() -> list[Path]:
    """Committed stubs that are not what the contracts make: changed, missing or left over."""
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate_stubs(fresh)
        expected, found = stubs_below(fresh), stubs_below(ROOT)
        changed = {path for path in expected & found if not filecmp.cmp(fresh / path, ROOT / path, shallow=False)}
        return sorted(changed | (expected ^ found))


def main() -> int:
    """Generates, or with `--check` compares; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail where committed stubs have drifted")
    if parser.parse_args().check:
        stale = drifted()
        for path in stale:
            print(f"drifted from the contracts: {path} (run: make protos)", file=sys.stderr)
        return 1 if stale else 0
    for path in stubs_below(ROOT):
        (ROOT / path).unlink()
    with tempfile.TemporaryDirectory() as directory:
        generate_stubs(Path(directory))
        shutil.copytree(directory, ROOT, dirs_exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
