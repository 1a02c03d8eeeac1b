"""The checks of the contracts."""

import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from protos.check import CONFIGURATION, RELEASED, check


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs buf with our configuration."""
    program = str(Path(sysconfig.get_path("scripts")) / "buf")
    command = [program, *arguments, "--config", str(CONFIGURATION)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_contracts_are_clean() -> None:
    """The contracts keep to their style, and break no caller of the last release."""
    assert check() == 0


def _rename_a_field(contract: FileDescriptorProto) -> None:
    contract.message_type[0].field[0].name = "renamed"
    contract.message_type[0].field[0].json_name = "renamed"


def _remove_a_method(contract: FileDescriptorProto) -> None:
    del contract.service[0].method[0]


@pytest.mark.parametrize("change", [_rename_a_field, _remove_a_method])
def test_breaking_change_is_found(tmp_path: Path, change: Callable[[FileDescriptorProto], None]) -> None:
    """A change that breaks callers of the last release is refused, with the file it is in."""
    contracts = FileDescriptorSet.FromString(RELEASED.read_bytes())
    account = next(file for file in contracts.file if file.name == "mirage/auth/v1/account.proto")
    change(account)
    image = tmp_path / "changed.binpb"
    image.write_bytes(contracts.SerializeToString())
    result = buf("breaking", str(image), "--against", str(RELEASED))
    assert result.returncode != 0
    assert "mirage/auth/v1/account.proto" in result.stdout + result.stderr
