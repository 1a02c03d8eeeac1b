"""A model of a source table: what an engine fitted together with the plan that leads back to the source."""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from services.generation.engines import ENGINES
from services.generation.engines.protocol import Draw, Failure, FittedModel, ModelSpec, Progress, Report
from services.generation.tables.plan import Plan
from services.generation.tables.prepare import Prepared
from services.generation.tables.restore import Restorer
from services.generation.training.nothing_learned import NothingLearned

if TYPE_CHECKING:  # a service that only reads plans needs nothing that judges
    from services.generation.training.scoring import Scorer

FORMAT = 1
MANIFEST, PLAN, ENGINE_FILES = "manifest.json", "plan.json", "engine/"
# Rows drawn after a fit to see how often the model says that a value is missing.
CALIBRATION_ROWS = 5_000
EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
CHUNK_BYTES = 1 << 20


class Manifest(BaseModel):
    """What a model file says of itself: who made it, with what, and the SHA-256 of each of its other members."""

    model_config = ConfigDict(frozen=True)

    format: int
    engine: str
    model_type: str
    parameters: dict[str, Any]
    seed: int
    columns: tuple[str, ...]
    training_rows: int
    versions: dict[str, str]
    members: dict[str, str]


@dataclass(frozen=True)
class TableModel:
    """A fitted model and its plan; the key that protects the source's personal data is kept elsewhere."""

    engine: str
    spec: ModelSpec
    fitted: FittedModel
    plan: Plan
    training_rows: int
    key: bytes = field(default=b"", repr=False)

    @classmethod
    def fit(
        cls,
        engine: str,
        prepared: Prepared,
        spec: ModelSpec,
        report: Report,
        key: bytes = b"",
        scorer: "Scorer | None" = None,
    ) -> "TableModel":
        """Fits an engine's model to a prepared table and corrects its missing rates.

        `key` is the one that the table was prepared with. A `scorer` judges rows on the way, where the engine has any.
        """
        heard = report if scorer is None else _Scored(report, prepared.plan, key, scorer)
        fitted: FittedModel = (
            ENGINES[engine].fit(prepared.learned, spec, heard) if prepared.learned.num_columns else NothingLearned()
        )
        plan = prepared.plan
        if plan.has_missing():
            sample = pa.concat_tables(fitted.sample(CALIBRATION_ROWS, spec.seed, {}, _Unheard(report)))
            plan = plan.calibrated(sample)
        return cls(engine, spec, fitted, plan, prepared.rows, key)

    def sample(self, rows: int, seed: int, conditions: Mapping[str, JsonValue], report: Report) -> Iterator[pa.Table]:
        """Draws rows of the source, in batches, under exactly its schema.

        `conditions` fixes columns for every row. The same seed gives the same rows, whatever was drawn before. Raises
        Failure (`INVALID_CONDITIONS`, `CONDITION_TOO_RARE`).
        """
        checked = self.plan.conditions(conditions)
        restorer = Restorer(self.plan, rows, seed, checked, self.key)
        for learned in self.fitted.sample(rows, seed, checked.learned, report):
            yield restorer.restore(learned)

    def save(self, path: Path) -> None:
        """Writes the model file: a zip of a manifest, the plan and the engine's own files."""
        with tempfile.TemporaryDirectory(dir=path.parent) as directory, zipfile.ZipFile(path, "w") as archive:
            self.fitted.save(Path(directory))
            files = sorted(file for file in Path(directory).rglob("*") if file.is_file())
            members = {ENGINE_FILES + str(file.relative_to(directory)): file.read_bytes() for file in files}
            members[PLAN] = self.plan.model_dump_json().encode()
            manifest = Manifest(
                format=FORMAT,
                engine=self.engine,
                model_type=self.spec.model_type,
                parameters=dict(self.spec.parameters),
                seed=self.spec.seed,
                columns=tuple(column.name for column in self.plan.columns),
                training_rows=self.training_rows,
                versions=dict(ENGINES[self.engine].versions()),
                members={name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
            )
            for name, content in {MANIFEST: manifest.model_dump_json(indent=2).encode(), **members}.items():
                # A fixed date makes equal models equal files.
                archive.writestr(zipfile.ZipInfo(name, EARLIEST_ZIP_DATE), content, zipfile.ZIP_DEFLATED)

    @classmethod
    def load(cls, path: Path, key: bytes = b"") -> "TableModel":
        """Reads a model file that `save` wrote; `key` is its own.

        Unpickles: the caller has checked that the file is this platform's.

        Raises Failure (`MODEL_UNREADABLE`) for a file that is damaged, of another format or of other libraries.
        """
        try:
            with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(dir=path.parent) as directory:
                manifest = _manifest(archive)
                for name, sha256 in manifest.members.items():
                    _extract(archive, name, sha256, Path(directory))
                plan = Plan.model_validate_json((Path(directory) / PLAN).read_bytes())
                learned = bool(plan.learned_names())
                fitted: FittedModel = (
                    ENGINES[manifest.engine].load(Path(directory) / ENGINE_FILES) if learned else NothingLearned()
                )
        except (zipfile.BadZipFile, KeyError, ValidationError, json.JSONDecodeError) as error:
            raise _unreadable("the file is damaged") from error
        spec = ModelSpec(manifest.model_type, manifest.parameters, manifest.seed)
        return cls(manifest.engine, spec, fitted, plan, manifest.training_rows, key)


def plan_in(path: Path) -> Plan:
    """The plan in a model file, without its engine's part: nothing of it is run. The caller has checked the file.

    Raises Failure (`MODEL_UNREADABLE`) for a file that is damaged or of another format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return Plan.model_validate_json(archive.read(PLAN))
    except (zipfile.BadZipFile, KeyError, ValidationError) as error:
        raise _unreadable("the file is damaged") from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    manifest = Manifest.model_validate_json(archive.read(MANIFEST))
    if manifest.format != FORMAT or manifest.engine not in ENGINES:
        raise _unreadable("it was made by another version of the platform")
    own = ENGINES[manifest.engine].versions()
    changed = [name for name, version in manifest.versions.items() if _major(own.get(name, "")) != _major(version)]
    if changed:
        raise _unreadable(f"it was made with {changed[0]} {manifest.versions[changed[0]]}, not with what is installed")
    return manifest


def _extract(archive: zipfile.ZipFile, name: str, sha256: str, directory: Path) -> None:
    """Unpacks a member whose content is what the manifest says."""
    target = directory / name
    if not target.resolve().is_relative_to(directory.resolve()):
        raise _unreadable("the file is damaged")
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            copy.write(chunk)
    if sha256_of(target) != sha256:
        raise _unreadable("the file is damaged")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _major(version: str) -> str:
    return version.split(".", maxsplit=1)[0]


def _unreadable(why: str) -> Failure:
    return Failure("MODEL_UNREADABLE", f"The model can't be read: {why}. Train it again.")


class _Unheard:
    """Passes on only whether the work was called off."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __call__(self, progress: Progress) -> None:
        """Keeps the progress to itself."""

    def cancelled(self) -> bool:
        """Whether the work was called off."""
        return self._report.cancelled()

    def scores(self, epoch: int, draw: Draw) -> Mapping[str, float]:
        """None: there is nothing to judge."""
        del epoch, draw
        return {}


class _Scored:
    """Passes everything on, and has rows of the source judged where an engine can draw learned ones on the way."""

    def __init__(self, report: Report, plan: Plan, key: bytes, scorer: "Scorer") -> None:
        self._report = report
        self._plan = plan
        self._key = key
        self._scorer = scorer

    def __call__(self, progress: Progress) -> None:
        """Passes it on."""
        self._report(progress)

    def cancelled(self) -> bool:
        """Whether the work was called off."""
        return self._report.cancelled()

    def scores(self, epoch: int, draw: Draw) -> Mapping[str, float]:
        """What the scorer says of rows as they would be if training ended now."""

        def rows_of_source(rows: int, seed: int) -> pa.Table:
            learned = draw(rows, seed)
            plan = self._plan.calibrated(learned)
            return Restorer(plan, rows, seed, plan.conditions({}), self._key).restore(learned)

        return self._scorer.scores(epoch, rows_of_source)
