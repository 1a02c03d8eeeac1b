"""The command line: from a file to a model to a file."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from mirage_engine import files
from mirage_engine.command_line import INTERRUPTED, REFUSED, run
from tests.mirage_engine.tables import people


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table in a CSV file."""
    path = tmp_path / "people.csv"
    pyarrow.csv.write_csv(people(200).drop_columns(["seen"]), path)
    return path


def test_fit_and_sample(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table is learnt and rows are written that meet the conditions, in any format, the same ones for a seed."""
    model = tmp_path / "people.mirage"
    fitting = ["fit", str(table), "--out", str(model), "--epochs", "2", "--identifier", "age", "--exclude", "weight"]
    assert run(fitting) == 0
    assert "learnt from 200 rows" in capsys.readouterr().err
    conditions = ["--where", "city=Rome|Paris", "--where", "income=50..900.5", "--where", "member=true"]
    for suffix in files.SUFFIXES:
        out = tmp_path / f"made{suffix}"
        assert run(["sample", str(model), "--rows", "300", "--out", str(out), "--seed", "3", *conditions]) == 0
        made = files.read_table(out)
        assert made.column_names == ["age", "city", "income", "member", "since"]
        assert made["age"].to_pylist() == list(range(1, 301))
        assert set(made["city"].to_pylist()) <= {"Rome", "Paris"}
        assert all(made["member"].to_pylist())
        assert all(50 <= income <= 900.5 for income in made["income"].to_pylist())
    parquet, arrow = (files.read_table(tmp_path / f"made{suffix}") for suffix in (".parquet", ".arrow"))
    assert parquet.equals(arrow)
    assert run(["show", str(model)]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 200


def test_what_is_wrong_is_told(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong columns, conditions and files are told by name, end with a status of their own, and leave no file."""
    model, out = tmp_path / "people.mirage", tmp_path / "made.csv"
    assert run(["fit", str(table), "--out", str(model), "--exclude", "nope"]) == REFUSED
    assert "nope: there is no such column" in capsys.readouterr().err
    assert run(["fit", str(table), "--out", str(model), "--epochs", "1"]) == 0
    wrong = ["--where", "age=300..400", "--where", "nope=1"]
    assert run(["sample", str(model), "--rows", "5", "--out", str(out), *wrong]) == REFUSED
    told = capsys.readouterr().err
    assert "age: no value" in told
    assert "nope: no learnt column" in told
    assert run(["sample", str(model), "--rows", "5", "--out", str(tmp_path / "made.xyz")]) == REFUSED
    assert run(["sample", str(table), "--rows", "5", "--out", str(out)]) == REFUSED
    assert {path.name for path in tmp_path.iterdir()} == {"people.csv", "people.mirage"}


def test_a_gaussian_copula(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quick model is fitted, sampled and shown as the other is, and refuses what it has no use for."""
    model, out = tmp_path / "people.mirage", tmp_path / "made.parquet"
    fitting = ["fit", str(table), "--out", str(model), "--model", "gaussian_copula"]
    assert run([*fitting, "--epochs", "3"]) == REFUSED
    assert "neither --epochs nor" in capsys.readouterr().err
    assert not model.exists()
    assert run(fitting) == 0
    assert "learnt from 200 rows" in capsys.readouterr().err
    assert run(["sample", str(model), "--rows", "5000", "--out", str(out), "--where", "city=Rome"]) == 0
    made = files.read_table(out)
    assert made.num_rows == 5000
    assert set(made["city"].to_pylist()) == {"Rome"}
    assert run(["show", str(model)]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 200


def test_a_file_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """A table whose rows can't be made to the end isn't written at all."""
    schema = pa.schema({"x": pa.int64()})

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": [1, 2]})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.write_batches(tmp_path / "x.parquet", schema, broken())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_fit_goes_on(table: Path, tmp_path: Path) -> None:
    """Ctrl-C ends a fit with a status of its own; the same command goes on, to the very file of an unbroken fit."""
    whole, resumed, checkpoint = tmp_path / "whole.mirage", tmp_path / "resumed.mirage", tmp_path / "state"
    assert run(["fit", str(table), "--out", str(whole), "--epochs", "12"]) == 0
    fitting = ["fit", str(table), "--out", str(resumed), "--epochs", "12", "--checkpoint", str(checkpoint)]

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    assert run(fitting) == INTERRUPTED
    interrupter.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert checkpoint.exists()
    assert not resumed.exists()
    assert run(fitting) == 0
    assert resumed.read_bytes() == whole.read_bytes()
    assert not checkpoint.exists()
