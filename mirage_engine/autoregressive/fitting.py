"""From a table to a fitted model."""

import hashlib
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from mirage_engine.autoregressive import checkpoints
from mirage_engine.autoregressive.model import AutoregressiveModel, Record, new_network
from mirage_engine.autoregressive.rows import Rows, held_out_places
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.autoregressive.training import Trainer
from mirage_engine.codec import CodecSettings, TableCodec
from mirage_engine.progress import Listener, nobody

VERSIONS_OF = ("numpy", "pyarrow", "safetensors", "torch")


def fit(
    table: pa.Table,
    settings: AutoregressiveSettings | None = None,
    codec_settings: CodecSettings | None = None,
    *,
    seed: int = 0,
    listener: Listener = nobody,
    checkpoint: Path | None = None,
) -> AutoregressiveModel:
    """Fits a model to a table; `seed` governs all that is left to chance.

    With a `checkpoint`, the state is kept in that file after every epoch and when the work is called off, and the work
    goes on from there if the file is of the same table, settings and seed; it is removed in the end.

    Raises TableRefused naming every column that can't be learnt, TrainingDiverged, Cancelled (from the listener), and
    ModelFileRefused if the checkpoint is of other work.
    """
    settings, codec_settings = settings or AutoregressiveSettings(), codec_settings or CodecSettings()
    codec = TableCodec.fit(table, codec_settings)
    network = new_network(codec, settings, seed)
    rows = Rows.of(network.shape, codec, table)
    trained_on, held_out = (rows.take(part) for part in held_out_places(len(rows), settings.held_out_share, seed))
    network.start_from(trained_on.frequencies())
    trainer = Trainer(network, trained_on, held_out, settings, seed)
    record = Record(
        seed=seed,
        rows=table.num_rows,
        data_hash=hash_of(table),
        settings=settings,
        versions={name: version(name) for name in VERSIONS_OF},
        processor=_processor(),
        threads=torch.get_num_threads(),
    )
    if checkpoint is None:
        trainer.run(listener)
    else:
        checkpoints.resume(checkpoint, trainer, record)
        trainer.run(listener, lambda trainer: checkpoints.save(checkpoint, trainer, record))
        checkpoint.unlink(missing_ok=True)
    network.load_state_dict(trainer.best)
    state = trainer.state
    return AutoregressiveModel(network, codec, replace(record, best_epoch=state.best_epoch, history=state.history))


def hash_of(table: pa.Table) -> str:
    """SHA-256 of a table's Arrow stream, in one batch."""
    digest = hashlib.sha256()
    sink = pa.PythonFile(_Hashing(digest), mode="w")
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return digest.hexdigest()


class _Hashing:
    """A file that keeps nothing but a digest."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def _processor() -> str:
    """What results depend on besides the libraries: the architecture and the widest instructions in use."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
