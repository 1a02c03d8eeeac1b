"""What is said when a training takes more than it may."""

import json
from pathlib import Path

from servicekit.column_types import ColumnType
from services.generation.engines.catalogue import check_model
from services.generation.engines.estimate import TableShape
from services.generation.tables.columns import ColumnSpec
from services.generation.training.spec import TrainingSpec
from services.generation.training.suggestion import out_of_memory, timed_out


def spec_of(limit_mb: int, **parameters: object) -> TrainingSpec:
    """A CTGAN's training under a memory limit."""
    model = check_model({"model_type": "ctgan", **parameters})
    return TrainingSpec.model_validate({
        "directory": Path(), "table": Path("t"), "columns": [ColumnSpec(name="x", type=ColumnType.FLOAT)],
        "engine": "sdv", "model_type": "ctgan", "parameters": model.parameters, "sample_size": 1, "seed": 1,
        "memory_limit_mb": limit_mb,
    })  # fmt: skip


def test_smaller_batch() -> None:
    """Where a smaller batch would be enough, it is named."""
    shape = TableShape(rows=20_000, numbers=10, categories={"a": 400})
    said = out_of_memory(spec_of(2500, batch_size=20_000), shape)
    assert "batch_size" in said.message
    assert said.reason == "TRAINING_OUT_OF_MEMORY"


def test_column_to_leave_out() -> None:
    """Where one column is what costs, it is named with its categories."""
    said = out_of_memory(spec_of(1200), TableShape(rows=100_000, numbers=2, categories={"a": 3, "city": 500}))
    assert "'city' left out, which has 500 categories" in said.message


def test_smaller_layers() -> None:
    """Where a smaller batch doesn't help, smaller layers do, if those are what costs; the costly column is named."""
    wide = spec_of(1600, generator_dim=[2048, 2048], discriminator_dim=[2048, 2048])
    said = out_of_memory(wide, TableShape(rows=2_000, numbers=10, categories={"city": 500, "a": 3}))
    assert "generator_dim [" in said.message
    assert "The column 'city' takes the most, with its 500 categories." in said.message
    assert json.loads(said.metadata["suggested_parameters"]).keys() >= {"generator_dim", "discriminator_dim"}


def test_batches_of_whole_packs() -> None:
    """A batch that is suggested can be trained on: whole packs, and an even number of rows."""
    shape = TableShape(rows=20_000, numbers=10, categories={"a": 400})
    said = out_of_memory(spec_of(2500, batch_size=20_020, pac=7), shape)
    assert json.loads(said.metadata["suggested_parameters"])["batch_size"] % 14 == 0


def test_limit_is_always_higher() -> None:
    """The limit that is suggested is always more than the one that was too little."""
    said = out_of_memory(spec_of(100_000), None)
    assert int(said.metadata["suggested_limit_mb"]) > 100_000


def test_time() -> None:
    """Too long a training names the setting that ruled."""
    assert "3600 seconds of REQUEST_TIMEOUT_SECONDS" in timed_out(spec_of(1)).message
