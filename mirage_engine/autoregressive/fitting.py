"""From a table to a fitted model."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import torch

from mirage_engine.autoregressive import checkpoints
from mirage_engine.autoregressive.model import AutoregressiveModel, Record, new_network
from mirage_engine.autoregressive.rows import Rows, held_out_places
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.autoregressive.training import Trainer
from mirage_engine.codec import CodecSettings, TableCodec
from mirage_engine.progress import Listener, nobody
from mirage_engine.provenance import hash_of, processor, versions


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
    trainer = Trainer(network, codec, trained_on, held_out, settings, seed)
    record = Record(
        seed=seed,
        rows=table.num_rows,
        data_hash=hash_of(table),
        settings=settings,
        versions=versions(),
        processor=processor(),
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
