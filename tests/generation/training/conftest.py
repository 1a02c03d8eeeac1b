"""A runner with its warm launcher, and trainings to give it, shared by the tests of a module."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from services.generation.engines.catalogue import engines_of
from services.generation.training.runner import TrainingRunner
from services.generation.training.spec import TrainingSpec
from tests.generation.tables.sources import small_table

SMALL = {
    "gaussian_copula": {},
    "ctgan": {"epochs": 3, "batch_size": 60},
    "tvae": {"epochs": 3, "batch_size": 60},
    "autoregressive": {"epochs": 3},
}
SpecMaker = Callable[..., TrainingSpec]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner() -> AsyncIterator[TrainingRunner]:
    """A runner whose launcher has its libraries imported."""
    runner = TrainingRunner()
    await runner.start()
    yield runner
    await runner.close()


@pytest.fixture
def spec_of(tmp_path: Path) -> SpecMaker:
    """Makes specs of small trainings, each in a directory of its own."""
    table, columns = small_table()
    source = tmp_path / "source.parquet"
    pq.write_table(table, source)

    def make(model_type: str = "gaussian_copula", **changes: Any) -> TrainingSpec:
        directory = tmp_path / f"training-{sum(1 for _ in tmp_path.iterdir())}"
        directory.mkdir()
        fields: dict[str, Any] = {
            "directory": directory,
            "table": source,
            "columns": columns,
            "engine": engines_of(model_type)[0],
            "model_type": model_type,
            "parameters": SMALL[model_type],
            "sample_size": 300,
            "seed": 7,
        }
        return TrainingSpec(**fields | changes)

    return make
