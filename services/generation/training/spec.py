"""What a child process is asked to do and what it answers; plain data that crosses the process boundary as JSON."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.generation.tables.columns import ColumnSpec

# The files that training leaves in its directory.
TABLE_FILE = "synthetic.parquet"
MODEL_FILE = "model.zip"


class Scoring(BaseModel):
    """What is to be judged while a model is fitted, where its engine allows it.

    After each of these `epochs`; where none are named, now and then, as often as costs next to nothing. `metrics` are
    figures of a quality report by name. `sensitive` columns are chosen if there are none.
    """

    model_config = ConfigDict(frozen=True)

    epochs: tuple[int, ...] = ()
    metrics: tuple[str, ...] = Field(min_length=1)
    sensitive: tuple[str, ...] = ()


class TrainingSpec(BaseModel):
    """One training: a model is fitted to a table, kept, and rows are drawn from it.

    `directory` is private to this training and exists; `TABLE_FILE` and `MODEL_FILE` are written there. `columns` are
    the columns to learn, each with its type and role in force; the synthetic table has them in the input's order.
    `parameters` are all in force, as `check_model` returned them. Under 200 rows nothing is held out.
    `protection_key`, in hexadecimal, keeps personal data of the table from being invented; the model doesn't hold it.
    """

    model_config = ConfigDict(frozen=True)

    directory: Path
    table: Path
    columns: tuple[ColumnSpec, ...] = Field(min_length=1)
    engine: str
    model_type: str
    parameters: dict[str, JsonValue]
    sample_size: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**32)
    holdout_fraction: float = Field(default=0.1, ge=0, le=0.5)
    conditions: dict[str, JsonValue] = Field(default_factory=dict)
    scoring: Scoring | None = None
    protection_key: str = Field(default="", repr=False)
    time_limit_s: float = Field(default=3600, gt=0)
    memory_limit_mb: int | None = Field(default=None, gt=0)


class SamplingSpec(BaseModel):
    """Rows to draw from a model file that this platform wrote and whose SHA-256 the caller has checked.

    `protection_key` is the one that it was trained with. The file lies in a directory that is private to this sampling,
    where it is unpacked.
    """

    model_config = ConfigDict(frozen=True)

    model: Path
    rows: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**32)
    conditions: dict[str, JsonValue] = Field(default_factory=dict)
    protection_key: str = Field(default="", repr=False)
    time_limit_s: float = Field(default=3600, gt=0)
    memory_limit_mb: int | None = Field(default=None, gt=0)


class Split(BaseModel):
    """Which rows of a table a training has never seen; `columns` are those that it learned, with the roles in force."""

    model_config = ConfigDict(frozen=True)

    fraction: float = Field(ge=0, le=0.5)
    seed: int = Field(ge=0, lt=2**32)
    columns: tuple[ColumnSpec, ...]


class EvaluationSpec(BaseModel):
    """A synthetic table to judge against a real one; all tables are Parquet files.

    `columns` are the real table's, with the types and roles in force, and those to compare. `training` holds the rows
    that whoever made the synthetic table was trained on, and `holdout` rows that it has never seen, if there are any.
    With a `split`, `training` holds both; a `holdout` then replaces those that were split off. `conditions` are the
    values that every synthetic row was to have. `notes` go before the report's own.

    An empty `target` stands for the column of that role, or one that is chosen; without `sensitive` columns they are
    chosen. The report is written to `output` as JSON; the file's directory is private to this evaluation. `begun` is
    the share of a job's work that was done before.
    """

    model_config = ConfigDict(frozen=True)

    output: Path
    training: Path
    synthetic: Path
    holdout: Path | None = None
    columns: tuple[ColumnSpec, ...] = Field(min_length=1)
    split: Split | None = None
    conditions: dict[str, JsonValue] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    target: str = ""
    sensitive: tuple[str, ...] = ()
    seed: int = Field(ge=0, lt=2**32)
    begun: float = Field(default=0, ge=0, le=1)
    time_limit_s: float = Field(default=3600, gt=0)
    memory_limit_mb: int | None = Field(default=None, gt=0)


WorkSpec = TrainingSpec | SamplingSpec | EvaluationSpec


class TrainingSummary(BaseModel):
    """What a training made. Sizes in bytes, hashes SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    table_path: Path
    table_sha256: str
    table_bytes: int
    rows: int
    columns: tuple[str, ...]
    model_path: Path
    model_sha256: str
    model_bytes: int
    source_sha256: str
    training_rows: int
    holdout_rows: int
    seconds: dict[str, float]
    """Seconds by stage: `preparing`, `training`, `sampling`."""
    peak_memory_mb: float
    versions: dict[str, str]
    """Versions of the libraries that made the rows, by distribution name."""
