"""A fitted Gaussian copula: what it draws and scores, and the file that it is kept in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from mirage_engine import storage
from mirage_engine.codec import TableCodec
from mirage_engine.conditions import Conditions, resolve
from mirage_engine.gaussian_copula.learnt import Learnt
from mirage_engine.gaussian_copula.normal import Floats
from mirage_engine.gaussian_copula.sampling import Sampler
from mirage_engine.gaussian_copula.scoring import log_probabilities
from mirage_engine.gaussian_copula.settings import GaussianCopulaSettings
from mirage_engine.progress import Listener, nobody

KIND = "gaussian_copula"


@dataclass(frozen=True)
class Record:
    """Where a model comes from.

    `data_hash` tells the table it was fitted to (SHA-256 of its Arrow stream), `versions` the libraries by name,
    `processor` the kind of processor and `threads` how many there were: a fit is the same where both are.
    """

    seed: int
    rows: int
    data_hash: str
    settings: GaussianCopulaSettings
    versions: Mapping[str, str]
    processor: str
    threads: int

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> "Record":
        """A record as it was before `dataclasses.asdict`."""
        return cls(**{**about, "settings": GaussianCopulaSettings(**about["settings"])})


class GaussianCopulaModel:
    """Columns as they were distributed each by itself, joined by a Gaussian copula.

    Every column is the image of a normal variable under its own empirical distribution (Sklar's theorem; Nelsen, "An
    Introduction to Copulas", 2006, chapter 2); where values repeat, each has an interval as probable as it is frequent
    (the distributional transform: Rüschendorf, "On the distributional transform, Sklar's theorem, and the empirical
    copula process", 2009). The variables have a joint normal distribution, fitted to pairs of columns. As a model of
    whole tables: Patki, Wedge and Veeramachaneni, "The Synthetic Data Vault", 2016.
    """

    def __init__(self, learnt: Learnt, record: Record) -> None:
        self.codec = learnt.codec
        self.record = record
        self._learnt = learnt

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
        meet all `conditions`: by column a value (None: missing), a list of levels, or a `Range`; none are drawn and
        thrown away. Under conditions on one column rows follow the model's own distribution of such rows; under
        several, they come as near to it as `box.SWEEPS` sweeps of Gibbs sampling do. Raises ConditionsRefused naming
        every condition that can't be met.
        """
        if rows < 0 or first_row < 0:
            raise ValueError("rows and first_row are 0 or more")
        sampler = Sampler(self._learnt, seed, resolve(self.codec, conditions or {}))
        return sampler.draw(first_row, rows, threads or torch.get_num_threads(), listener)

    def sample_table(self, rows: int, seed: int = 0, conditions: Conditions | None = None) -> pa.Table:
        """The same as one table."""
        return pa.Table.from_batches(self.sample(rows, seed, conditions), self.schema)

    def log_probability(self, table: pa.Table, given: Sequence[str] = ()) -> Floats:
        """Natural logarithm of the probability of each row; shape (rows,).

        Columns of the model that the table lacks are left open, those of `given` are taken as known. Numbers count by
        their cell, spread evenly over its values: whole numbers have a probability, real ones a density. A value that
        the model never draws gives minus infinity. The probability that so many normal variables lie in their intervals
        has no closed form: it is estimated, the same way each time, to a few per cent. Raises TableRefused naming what
        isn't there.
        """
        return log_probabilities(self._learnt, table, given)

    def save(self, path: Path | str, key: bytes | None = None) -> None:
        """Writes the model into a file; with a `key`, signed by it."""
        document = {"codec": self.codec.to_json(), "record": asdict(self.record)}
        storage.write(Path(path), KIND, document, self._learnt.tensors(), key)

    @classmethod
    def load(cls, path: Path | str, key: bytes | None = None) -> "GaussianCopulaModel":
        """Reads what `save` wrote. Raises ModelFileRefused if the file isn't that, or was changed since."""
        about, tensors = storage.read(Path(path), KIND, key)
        learnt = Learnt.from_tensors(TableCodec.from_json(about["codec"]), tensors)
        return cls(learnt, Record.from_json(about["record"]))
