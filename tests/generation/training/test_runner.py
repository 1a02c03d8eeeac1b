"""Training and sampling in child processes: what comes back, how they fail, and that they end."""

import asyncio
import json
import os
import signal
import time
from contextlib import aclosing, suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from servicekit.column_types import ColumnType
from services.generation.engines.protocol import Progress, Stage
from services.generation.tables.columns import ColumnSpec
from services.generation.training.pace import SHARES
from services.generation.training.runner import TrainingFailed, TrainingRunner
from services.generation.training.spec import SamplingSpec, TrainingSpec, TrainingSummary
from services.generation.training.table_model import sha256_of
from tests.generation.training.conftest import SpecMaker

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("training")]

ENDLESS = {"epochs": 100_000, "batch_size": 60}


class Heard:
    """Writes progress down and lets a test wait for a stage."""

    def __init__(self, stage: Stage = Stage.TRAINING) -> None:
        self.progress: list[Progress] = []
        self._stage, self._reached = stage, asyncio.Event()

    async def __call__(self, progress: Progress) -> None:
        """Writes it down."""
        self.progress.append(progress)
        if progress.stage is self._stage:
            self._reached.set()

    async def reached(self) -> None:
        """Waits until the stage has begun."""
        async with asyncio.timeout(60):
            await self._reached.wait()


async def train(runner: TrainingRunner, spec: TrainingSpec) -> TrainingSummary:
    """Trains without listening."""
    return await runner.train(spec, Heard())


async def rows_of(runner: TrainingRunner, spec: SamplingSpec) -> pa.Table:
    """All the rows of a sampling."""
    async with aclosing(runner.sample(spec)) as batches:
        return pa.Table.from_batches([batch async for batch in batches])


async def failure_of(runner: TrainingRunner, spec: TrainingSpec) -> TrainingFailed:
    """How a training fails."""
    with pytest.raises(TrainingFailed) as caught:
        await train(runner, spec)
    return caught.value


def descendants() -> list[psutil.Process]:
    """Every process below this one that isn't a zombie."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def launched() -> list[psutil.Process]:
    """The children that a launcher has forked."""
    return [
        process
        for process in descendants()
        if (parent := process.parent()) is not None and "launcher" in " ".join(parent.cmdline())
    ]


async def no_child_left(within_s: float = 10) -> None:
    """Waits until no launcher has a child."""
    deadline = time.monotonic() + within_s
    while launched():
        assert time.monotonic() < deadline, launched()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("model_type", "engine"),
    [
        ("gaussian_copula", "sdv"),
        ("gaussian_copula", "mirage"),
        ("ctgan", "sdv"),
        ("tvae", "sdv"),
        ("autoregressive", "mirage"),
    ],
)
async def test_training(runner: TrainingRunner, spec_of: SpecMaker, model_type: str, engine: str) -> None:
    """A training gives a table with the source's schema, a model, and a summary that fits both."""
    spec, heard = spec_of(model_type, engine=engine), Heard()
    summary = await runner.train(spec, heard)
    table, source = pq.read_table(summary.table_path), pq.read_table(spec.table)
    assert table.schema.equals(source.schema)
    assert len(table) == summary.rows == 300
    assert (summary.training_rows, summary.holdout_rows) == (216, 24)
    assert not set(table["id"].to_pylist()) & set(source["id"].to_pylist())
    assert len(set(table["id"].to_pylist())) == 300
    assert summary.table_sha256 == sha256_of(summary.table_path)
    assert summary.model_sha256 == sha256_of(summary.model_path)
    assert summary.source_sha256 == sha256_of(spec.table)
    assert summary.table_path.parent == summary.model_path.parent == spec.directory
    assert set(summary.seconds) == {"preparing", "training", "sampling"}
    assert {"torch", "pyarrow"} <= set(summary.versions)
    assert ("sdv" in summary.versions) == (spec.engine == "sdv")
    assert summary.peak_memory_mb > 100
    missing = source["size"].null_count / len(source)
    assert table["size"].null_count / 300 == pytest.approx(missing, abs=0.12)


async def test_progress(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Stages come in order, the last epoch is told with its losses, and the fraction leaves room for judging."""
    heard = Heard()
    await runner.train(spec_of("ctgan"), heard)
    stages = [progress.stage for progress in heard.progress]
    assert list(dict.fromkeys(stages)) == [Stage.PREPARING, Stage.TRAINING, Stage.SAMPLING]
    fractions = [progress.fraction for progress in heard.progress]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, SHARES[Stage.EVALUATING][0])
    last = [progress for progress in heard.progress if progress.stage is Stage.TRAINING][-1]
    assert (last.epoch, last.epochs) == (3, 3)
    assert set(last.losses) == {"generator", "discriminator"}
    assert (heard.progress[-1].rows_sampled, heard.progress[-1].rows) == (300, 300)


async def test_same_seed_same_bytes(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """The same seed and source give the same file byte for byte, in another process too; another seed doesn't."""
    first = await train(runner, spec_of("ctgan"))
    again = await train(runner, spec_of("ctgan"))
    fresh = TrainingRunner()
    try:
        elsewhere = await train(fresh, spec_of("ctgan"))
    finally:
        await fresh.close()
    other = await train(runner, spec_of("ctgan", seed=8))
    assert first.table_sha256 == again.table_sha256 == elsewhere.table_sha256 != other.table_sha256


async def test_sampling_a_kept_model(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A kept model draws the training's very rows from its seed, others from another, and as many as asked for."""
    summary = await train(runner, spec_of("tvae"))
    table = pq.read_table(summary.table_path)
    same = await rows_of(runner, SamplingSpec(model=summary.model_path, rows=300, seed=7))
    assert same.equals(table)
    more = await rows_of(runner, SamplingSpec(model=summary.model_path, rows=12_000, seed=8))
    assert len(more) == 12_000
    assert more.schema.equals(table.schema)
    assert len(set(more["id"].to_pylist())) == 12_000


async def test_conditions(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Every row has the values that were asked for, in a training's table and in rows from its model."""
    summary = await train(runner, spec_of(conditions={"kind": "b", "size": 5.5}))
    table = pq.read_table(summary.table_path)
    assert set(table["kind"].to_pylist()) == {"b"}
    assert set(table["size"].to_pylist()) == {5.5}
    rows = await rows_of(
        runner, SamplingSpec(model=summary.model_path, rows=50, seed=1, conditions={"flag": False, "size": None})
    )
    assert set(rows["flag"].to_pylist()) == {False}
    assert rows["size"].null_count == 50


async def test_wrong_conditions(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A condition that can't be met fails before any training and before the first batch, with its column."""
    heard = Heard()
    with pytest.raises(TrainingFailed) as caught:
        await runner.train(spec_of(conditions={"kind": "z"}), heard)
    assert caught.value.reason == "INVALID_CONDITIONS"
    assert caught.value.metadata == {"column": "kind"}
    assert {progress.stage for progress in heard.progress} == {Stage.PREPARING}
    summary = await train(runner, spec_of())
    with pytest.raises(TrainingFailed) as caught:
        await rows_of(runner, SamplingSpec(model=summary.model_path, rows=5, seed=1, conditions={"nobody": 1}))
    assert caught.value.reason == "INVALID_CONDITIONS"


async def test_cancel_frees_the_processor(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Cancelling a training ends its process, and the runner goes on serving."""
    heard = Heard()
    training = asyncio.create_task(runner.train(spec_of("ctgan", parameters=ENDLESS), heard))
    await heard.reached()
    (child,) = launched()
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    await train(runner, spec_of())


async def test_cancel_before_the_first_word(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A training that is cancelled as soon as it begins leaves no process either."""
    training = asyncio.create_task(train(runner, spec_of("ctgan", parameters=ENDLESS)))
    await asyncio.sleep(0)
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    await no_child_left()


async def test_a_stopped_child_is_killed(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A child that doesn't react to being asked is killed."""
    heard = Heard()
    training = asyncio.create_task(runner.train(spec_of("ctgan", parameters=ENDLESS), heard))
    await heard.reached()
    (child,) = launched()
    child.suspend()
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_closing_a_sampling(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A reader that goes away after the first batch ends the child that draws."""
    summary = await train(runner, spec_of())
    async with aclosing(runner.sample(SamplingSpec(model=summary.model_path, rows=10_000_000, seed=1))) as batches:
        assert (await anext(batches)).num_rows > 0
        assert launched()
    await no_child_left()


async def test_cancelling_a_sampling(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A sampling whose task is cancelled while it waits for rows ends its child."""
    summary = await train(runner, spec_of())
    first = asyncio.Event()

    async def read() -> None:
        async for _ in runner.sample(SamplingSpec(model=summary.model_path, rows=10_000_000, seed=1)):
            first.set()

    reading = asyncio.create_task(read())
    await first.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await no_child_left()


async def test_time_limit(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A training that takes too long is ended and says which setting ruled."""
    failed = await failure_of(runner, spec_of("ctgan", parameters=ENDLESS, time_limit_s=1.5))
    assert failed.reason == "JOB_TIMED_OUT"
    assert "REQUEST_TIMEOUT_SECONDS" in failed.message
    await no_child_left()


async def test_memory_limit(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A training that takes too much memory is ended and names a setting that would help."""
    failed = await failure_of(runner, spec_of("ctgan", parameters=ENDLESS, memory_limit_mb=150))
    assert failed.reason == "TRAINING_OUT_OF_MEMORY"
    assert "TRAINING_MEMORY_LIMIT_MB=" in failed.message
    assert failed.metadata["limit_mb"] == "150"
    await no_child_left()


@pytest.mark.slow
async def test_what_is_suggested_fits(runner: TrainingRunner, spec_of: SpecMaker, tmp_path: Path) -> None:
    """A training that takes too much memory names the costly column, and settings with which it then fits."""
    rows = 3000
    cities = [f"city {number % 800}" for number in range(rows)]
    table = pa.table({"size": [float(number % 97) for number in range(rows)], "city": cities})
    pq.write_table(table, tmp_path / "wide.parquet")
    columns = (ColumnSpec(name="size", type=ColumnType.FLOAT), ColumnSpec(name="city", type=ColumnType.CATEGORICAL))
    layers = {"generator_dim": [1024, 1024], "discriminator_dim": [1024, 1024]}
    parameters = {"epochs": 1, "batch_size": 2600, "pac": 10, **layers}
    spec = spec_of(
        "ctgan", table=tmp_path / "wide.parquet", columns=columns, parameters=parameters, memory_limit_mb=800
    )
    failed = await failure_of(runner, spec)
    assert failed.reason == "TRAINING_OUT_OF_MEMORY"
    assert "'city'" in failed.message
    suggested = json.loads(failed.metadata["suggested_parameters"])
    assert all(f"{name} {value}" in failed.message for name, value in suggested.items())
    kept = tuple(column for column in columns if column.name not in json.loads(failed.metadata["suggested_without"]))
    changed = {"parameters": parameters | suggested, "columns": kept}
    assert (await train(runner, spec.model_copy(update=changed))).rows == spec.sample_size


async def test_a_hanging_child_at_its_time_limit(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A child that does nothing any more, not even when it is asked to end, is gone when its time is up."""
    training = asyncio.create_task(failure_of(runner, spec_of("ctgan", parameters=ENDLESS, time_limit_s=10)))
    training_child = await _first_child()
    training_child.suspend()
    training_child.terminate()  # waits, as it would for one that ignores it
    assert (await training).reason == "JOB_TIMED_OUT"
    await no_child_left()


async def _first_child() -> psutil.Process:
    async with asyncio.timeout(60):
        while not (found := [child for child in launched() if _heeds_termination(child)]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found[0]


def _heeds_termination(child: psutil.Process) -> bool:
    """Whether a child has come to where a request to end no longer ends it by itself."""
    with suppress(OSError):
        status = Path(f"/proc/{child.pid}/status").read_text()
        caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(caught >> (signal.SIGTERM - 1) & 1)
    return False


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
async def test_crash(runner: TrainingRunner, spec_of: SpecMaker, number: signal.Signals) -> None:
    """A child that dies by itself fails its training with the exit code, and only that one."""
    heard = Heard()
    training = asyncio.create_task(runner.train(spec_of("ctgan", parameters=ENDLESS), heard))
    await heard.reached()
    launched()[0].send_signal(number)
    with pytest.raises(TrainingFailed) as caught:
        await training
    assert caught.value.reason == "TRAINING_CRASHED"
    assert caught.value.metadata == {"exit_code": str(-number)}
    await train(runner, spec_of())


async def test_launcher_is_replaced(spec_of: SpecMaker) -> None:
    """When the launcher dies, so do its children; their trainings fail, and the next one gets a new launcher."""
    runner, heard = TrainingRunner(), Heard()
    try:
        training = asyncio.create_task(runner.train(spec_of("ctgan", parameters=ENDLESS), heard))
        await heard.reached()
        (launcher,) = {process.parent() for process in launched()} - {None}
        assert launcher is not None
        launcher.kill()
        with pytest.raises(TrainingFailed) as caught:
            await training
        assert caught.value.reason == "TRAINING_CRASHED"
        await no_child_left()
        await train(runner, spec_of())
    finally:
        await runner.close()


async def test_unforeseen_error(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """An error nobody foresaw is told in a fixed sentence; its trace is logged without any value."""
    with capture_logs() as logs:
        failed = await failure_of(runner, spec_of("ctgan", parameters={"epochs": 3, "batch_size": "secret cell"}))
    assert failed.reason == "TRAINING_FAILED"
    assert "log" in failed.message
    (entry,) = [entry for entry in logs if entry["event"] == "training_broke"]
    assert entry["trace"]
    assert "secret cell" not in str(entry) + failed.message


async def test_unlearnable_table(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A table that can't be learned fails with what is wrong with it."""
    spec = spec_of()
    only_ids = tuple(column for column in spec.columns if column.name == "id")
    failed = await failure_of(runner, spec.model_copy(update={"columns": only_ids}))
    assert failed.reason == "TABLE_NOT_LEARNABLE"


async def test_subset_of_columns(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Only the columns asked for are learned, in the source's order."""
    spec = spec_of()
    columns = tuple(column for column in reversed(spec.columns) if column.name in {"flag", "size"})
    summary = await train(runner, spec.model_copy(update={"columns": columns}))
    assert pq.read_table(summary.table_path).column_names == ["size", "flag"] == list(summary.columns)


async def test_damaged_model(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """A model file that was damaged is refused before anything of it is unpickled."""
    summary = await train(runner, spec_of())
    content = bytearray(summary.model_path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    summary.model_path.write_bytes(content)
    with pytest.raises(TrainingFailed) as caught:
        await rows_of(runner, SamplingSpec(model=summary.model_path, rows=5, seed=1))
    assert caught.value.reason == "MODEL_UNREADABLE"


async def test_trainings_side_by_side(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """Several trainings at once don't disturb each other: each gives what it gives alone."""
    alone = await train(runner, spec_of("tvae"))
    together = await asyncio.gather(*(train(runner, spec_of("tvae", seed=seed)) for seed in (7, 8, 7)))
    assert together[0].table_sha256 == together[2].table_sha256 == alone.table_sha256
    assert together[1].table_sha256 != alone.table_sha256


async def test_children_know_no_secret(spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpickles models doesn't have the environment of the service: no database, no keys."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://generation:secret@host/mirage")
    runner, heard = TrainingRunner(), Heard()
    training = asyncio.create_task(runner.train(spec_of("ctgan", parameters=ENDLESS), heard))
    try:
        await heard.reached()
        (child,) = launched()
        assert "DATABASE_URL" not in child.environ()
        assert os.environ["DATABASE_URL"]
    finally:
        training.cancel()
        await asyncio.wait([training])
        await runner.close()


async def test_a_listener_that_fails(runner: TrainingRunner, spec_of: SpecMaker) -> None:
    """An error of whoever listens comes back to them, and the child is ended."""

    async def fail(_: Progress) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await runner.train(spec_of("ctgan", parameters=ENDLESS), fail)
    await no_child_left()
