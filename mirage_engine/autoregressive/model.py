"""A fitted autoregressive model: what it draws, fills in and scores, and the file that it is kept in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from mirage_engine import storage
from mirage_engine.autoregressive.imputation import imputed
from mirage_engine.autoregressive.network import AutoregressiveNetwork
from mirage_engine.autoregressive.sampling import Sampler
from mirage_engine.autoregressive.scoring import log_probabilities
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.autoregressive.shape import TableShape
from mirage_engine.codec import TableCodec
from mirage_engine.conditions import Conditions, resolve
from mirage_engine.progress import Listener, nobody

KIND = "autoregressive"


@dataclass(frozen=True)
class Record:
    """Where a model comes from.

    `data_hash` tells the table it was fitted to (SHA-256 of its Arrow stream), `versions` the libraries by name,
    `processor` the kind of processor and `threads` how many there were: a fit is the same where both are. `history`
    has the losses after each epoch, in nats a row; `best_epoch` is the one whose weights were kept.
    """

    seed: int
    rows: int
    data_hash: str
    settings: AutoregressiveSettings
    versions: Mapping[str, str]
    processor: str
    threads: int
    best_epoch: int = 0
    history: list[dict[str, float | None]] = field(default_factory=list)

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> "Record":
        """A record as it was before `dataclasses.asdict`."""
        return cls(**{**about, "settings": AutoregressiveSettings(**about["settings"])})


class AutoregressiveModel:
    """A network that was fitted to a table, with the table's codec."""

    def __init__(self, network: AutoregressiveNetwork, codec: TableCodec, record: Record) -> None:
        self.codec = codec
        self.record = record
        self._network = network.eval().requires_grad_(requires_grad=False)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows that are drawn: that of the table it was fitted to, less excluded columns."""
        return self.codec.schema

    def sample(
        self,
        rows: int,
        seed: int = 0,
        conditions: Conditions | None = None,
        *,
        first_row: int = 0,
        threads: int | None = None,
        listener: Listener = nobody,
    ) -> Iterator[pa.RecordBatch]:
        """Draws rows in batches, with bounded memory.

        Row number n of a seed is the same whatever else is drawn: `first_row` lets shards draw their own part. All rows
        meet all `conditions`: by column a value (None: missing), a list of levels, or a `Range`. Under ranges of more
        than one column the rows are drawn one range after another, which is near to the model's own distribution of
        such rows and not the same. Raises ConditionsRefused naming every condition that can't be met.
        """
        if rows < 0 or first_row < 0:
            raise ValueError("rows and first_row are 0 or more")
        sampler = Sampler(self._network, self.codec, seed, resolve(self.codec, conditions or {}))
        return sampler.draw(first_row, rows, threads or torch.get_num_threads(), listener)

    def sample_table(self, rows: int, seed: int = 0, conditions: Conditions | None = None) -> pa.Table:
        """The same as one table."""
        return pa.Table.from_batches(self.sample(rows, seed, conditions), self.schema)

    def impute(self, table: pa.Table, seed: int = 0) -> pa.Table:
        """A table with the model's columns, in which each missing cell has a drawn value, given all its row has.

        What isn't missing stays as it is, also where it is nothing the model knows; so do other columns. A column of
        which the model has seen no value keeps its gaps. Raises TableRefused naming each column that isn't there or is
        of another type.
        """
        parts = list(imputed(self._network, self.codec, table, seed))
        return pa.concat_tables(parts, promote_options="permissive") if parts else table

    def log_probability(self, table: pa.Table, given: Sequence[str] = ()) -> NDArray[np.float64]:
        """Natural logarithm of the probability of each row; shape (rows,).

        Columns of the model that the table lacks are left open, those of `given` are taken as known. Numbers count by
        their cell, spread evenly over its values: whole numbers have a probability, real ones a density. A value that
        the source couldn't have held gives minus infinity. Raises TableRefused naming what isn't there.
        """
        return log_probabilities(self._network, self.codec, table, given)

    def save(self, path: Path | str, key: bytes | None = None) -> None:
        """Writes the model into a file; with a `key`, signed by it."""
        document = {"codec": self.codec.to_json(), "record": asdict(self.record)}
        storage.write(Path(path), KIND, document, self._network.state_dict(), key)

    @classmethod
    def load(cls, path: Path | str, key: bytes | None = None) -> "AutoregressiveModel":
        """Reads what `save` wrote. Raises ModelFileRefused if the file isn't that, or was changed since."""
        about, weights = storage.read(Path(path), KIND, key)
        codec, record = TableCodec.from_json(about["codec"]), Record.from_json(about["record"])
        network = new_network(codec, record.settings, record.seed)
        network.load_state_dict(weights)
        return cls(network, codec, record)


def new_network(codec: TableCodec, settings: AutoregressiveSettings, seed: int) -> AutoregressiveNetwork:
    """An untrained network for a codec's tables."""
    shape = TableShape([column.digits for column in codec.columns])
    return AutoregressiveNetwork(shape, settings.width, settings.inner_width, seed)
