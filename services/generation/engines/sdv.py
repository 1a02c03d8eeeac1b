"""SDV's single-table synthesizers: CTGAN, TVAE, CopulaGAN and the Gaussian copula.

SDV, CTGAN, RDT and Copulas are used as libraries, through their public interface, with two exceptions told where they
are made. A CTGAN's or CopulaGAN's file grows with the rows it was fitted on, since the library keeps with the model
which row has which category: such a file is as private as its table.
"""

import json
import math
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from services.generation.engines.estimate import Estimate, TableShape
from services.generation.engines.parameters import (
    CopulaGanParameters,
    CtganParameters,
    GaussianCopulaParameters,
    TvaeParameters,
)
from services.generation.engines.protocol import Cancelled, Failure, ModelSpec, ModelType, Progress, Report, Stage
from services.generation.engines.sdv_estimate import estimate

# Rows drawn at a time. Part of what makes a seed's rows: another number gives other rows.
BATCH_ROWS = 5_000
# Beyond so many categories in a column CTGAN's and TVAE's one-hot layers take more memory and time than they give back.
CATEGORY_LIMIT = 500
# Rows that may be drawn, for each one wanted, until a condition counts as too rare.
DRAWS_PER_ROW = 200
LEAST_DRAWS = 100_000
# A row meets a condition on a number when it is so near, in standard deviations of the training rows.
NEARNESS = 0.1
TVAE_LEARNING_RATE = 1e-3
TABLE = "table"
MODULES = (
    "ctgan.synthesizers.ctgan",
    "ctgan.synthesizers.tvae",
    "sdv.single_table",
    "sdv.metadata",
    "sdv.sampling",
    "sdv.utils",
    "torch._dynamo",  # which every torch optimizer imports when it is first made
)
LOSS_NAMES = {"Generator Loss": "generator", "Discriminator Loss": "discriminator", "Loss": "loss"}
DISTRIBUTIONS = ("sdv", "ctgan", "rdt", "copulas", "torch", "numpy", "pandas", "scikit-learn", "scipy")

ColumnKind = Literal["number", "category"]


class SdvTvaeParameters(TvaeParameters):
    """Parameters of SDV's TVAE, whose learning rate is fixed: the limits tell, so that no search tries another."""

    learning_rate: float = Field(
        TVAE_LEARNING_RATE,
        ge=TVAE_LEARNING_RATE,
        le=TVAE_LEARNING_RATE,
        description="Learning rate of encoder and decoder; SDV's TVAE has this one only.",
    )

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _only_the_default(cls, rate: object) -> object:
        if isinstance(rate, int | float) and rate != TVAE_LEARNING_RATE:
            raise PydanticCustomError(
                "fixed_learning_rate", "SDV's TVAE takes no learning rate: leave it out, or give 0.001, the one it has"
            )
        return rate


class SdvEngine:
    """Fits SDV's synthesizers on the processor, seeded, one model at a time in a process."""

    name = "sdv"
    model_types: Mapping[str, ModelType] = {
        "ctgan": ModelType(CtganParameters, CATEGORY_LIMIT),
        "tvae": ModelType(SdvTvaeParameters, CATEGORY_LIMIT),
        "gaussian_copula": ModelType(GaussianCopulaParameters),
        "copulagan": ModelType(CopulaGanParameters, CATEGORY_LIMIT),
    }

    def warm_up(self) -> None:
        """Imports what fitting needs, some seconds' worth."""
        for module in MODULES:
            import_module(module)

    def versions(self) -> Mapping[str, str]:
        """The versions of SDV and of what computes beneath it."""
        return {name: version(name) for name in DISTRIBUTIONS}

    def estimate(self, table: TableShape, spec: ModelSpec, rows: int) -> Estimate:
        """What fitting and drawing would take, on one thread."""
        return estimate(table, spec, rows)

    def fit(self, table: pa.Table, spec: ModelSpec, report: Report) -> "SdvModel":
        """Fits a synthesizer. The same table, spec and number of threads give the same model."""
        kinds: dict[str, ColumnKind] = {
            field.name: "number" if pa.types.is_floating(field.type) else "category" for field in table.schema
        }
        frame = table.to_pandas()
        deviations = {name: float(frame[name].std(ddof=0)) for name, kind in kinds.items() if kind == "number"}
        for name, kind in kinds.items():
            if kind == "category":
                frame[name] = frame[name].astype(str)
        _seed_everything(spec.seed)
        synthesizer = _synthesizer(spec, kinds)
        with warnings.catch_warnings(), _alone(), _epochs_told(synthesizer, report):
            warnings.simplefilter("ignore")  # advice to interactive users, which may quote the table
            if "epochs" not in spec.parameters:
                report(Progress(Stage.TRAINING))
            try:
                synthesizer.fit({TABLE: frame})
            except ValueError as error:
                if "NaN" in str(error):  # CTGAN notices before a loss tells
                    raise _diverged() from error
                raise
        return SdvModel(synthesizer, spec.model_type, kinds, deviations)

    def load(self, directory: Path) -> "SdvModel":
        """Reads what `SdvModel.save` wrote."""
        from sdv.utils import load_synthesizer

        about = json.loads((directory / "about.json").read_text())
        synthesizer = load_synthesizer(str(directory / "synthesizer.pkl"))
        return SdvModel(synthesizer, about["model_type"], about["kinds"], about["deviations"])


class SdvModel:
    """A fitted synthesizer.

    `kinds` tells the learned table's columns, in order; `deviations` the standard deviation of each number among the
    training rows.
    """

    def __init__(
        self, synthesizer: Any, model_type: str, kinds: Mapping[str, ColumnKind], deviations: Mapping[str, float]
    ) -> None:
        self.synthesizer = synthesizer
        self._model_type = model_type
        self._kinds = dict(kinds)
        self._deviations = dict(deviations)

    def save(self, directory: Path) -> None:
        """Writes the synthesizer, pickled by SDV, and what this class knows beside it."""
        about = {"model_type": self._model_type, "kinds": self._kinds, "deviations": self._deviations}
        (directory / "about.json").write_text(json.dumps(about))
        self.synthesizer.save(str(directory / "synthesizer.pkl"))

    def sample(self, rows: int, seed: int, conditions: Mapping[str, float | int], report: Report) -> Iterator[pa.Table]:
        """Draws rows in batches of at most `BATCH_ROWS`.

        The Gaussian copula draws under its conditions; the others, which can't, draw until enough rows meet them (a
        number within a tenth of a standard deviation), so that what goes with a condition comes with it.
        """
        self._seed(seed)
        if not conditions:
            batches = self._drawn(rows)
        elif self._model_type == "gaussian_copula":
            batches = self._drawn_under(rows, conditions)
        else:
            batches = self._chosen(rows, conditions)
        done = 0
        while done < rows:
            if report.cancelled():
                raise Cancelled
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                frame = next(batches)
            done += len(frame)
            yield self._learned(frame)
            report(Progress(Stage.SAMPLING, rows_sampled=done, rows=rows))

    def _seed(self, seed: int) -> None:
        """Puts every source of chance where the seed says.

        SDV itself always draws the same rows after `reset_sampling`, whatever the seed. The model inside has a public
        way to be seeded, which holds once SDV has set its own state with a first row.
        """
        _seed_everything(seed)
        self.synthesizer.reset_sampling()
        self.synthesizer.sample(1)
        self.synthesizer._model.set_random_state(seed)  # noqa: SLF001 SDV has no public way to the model it holds

    def _drawn(self, rows: int) -> Iterator[Any]:
        for start in range(0, rows, BATCH_ROWS):
            yield self.synthesizer.sample(min(BATCH_ROWS, rows - start))[TABLE]

    def _drawn_under(self, rows: int, conditions: Mapping[str, float | int]) -> Iterator[Any]:
        from sdv.sampling import Condition

        fixed = {
            name: float(value) if self._kinds[name] == "number" else str(value) for name, value in conditions.items()
        }
        for start in range(0, rows, BATCH_ROWS):
            wanted = min(BATCH_ROWS, rows - start)
            try:
                frame = self.synthesizer.sample_from_conditions([Condition(fixed, num_rows=wanted)])[TABLE]
            except ValueError as error:
                raise _too_rare(0, wanted) from error
            if len(frame) < wanted:
                raise _too_rare(len(frame), wanted)
            yield frame

    def _chosen(self, rows: int, conditions: Mapping[str, float | int]) -> Iterator[Any]:
        drawn, found, most = 0, 0, max(LEAST_DRAWS, rows * DRAWS_PER_ROW)
        while found < rows:
            if drawn >= most:
                raise _too_rare(found, drawn)
            frame = self.synthesizer.sample(BATCH_ROWS)[TABLE]
            drawn += len(frame)
            for name, value in conditions.items():
                if self._kinds[name] == "number":
                    frame = frame[(frame[name] - value).abs() <= NEARNESS * self._deviations[name]]
                else:
                    frame = frame[frame[name] == str(value)]
            frame = frame.iloc[: rows - found]
            found += len(frame)
            if len(frame):
                yield frame

    def _learned(self, frame: Any) -> pa.Table:
        columns = {}
        for name, kind in self._kinds.items():
            if kind == "number":
                columns[name] = pa.array(frame[name].to_numpy(dtype="float64"))
            else:
                columns[name] = pa.array(frame[name].to_numpy().astype("int32"))
        return pa.table(columns)


def _too_rare(found: int, drawn: int) -> Failure:
    return Failure(
        "CONDITION_TOO_RARE",
        f"The model makes too few rows that meet the conditions ({found} of {drawn} drawn); ask for fewer of them, "
        "or of a gaussian_copula, which draws under any.",
    )


def _diverged() -> Failure:
    return Failure("TRAINING_DIVERGED", "The training diverged; a lower learning rate or a larger batch may help.")


def _seed_everything(seed: int) -> None:
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _synthesizer(spec: ModelSpec, kinds: Mapping[str, ColumnKind]) -> Any:
    """The synthesizer with every parameter of the spec."""
    import sdv.single_table
    from sdv.metadata import Metadata

    classes = {
        "ctgan": sdv.single_table.CTGANSynthesizer,
        "tvae": sdv.single_table.TVAESynthesizer,
        "gaussian_copula": sdv.single_table.GaussianCopulaSynthesizer,
        "copulagan": sdv.single_table.CopulaGANSynthesizer,
    }
    sdtypes = {"number": "numerical", "category": "categorical"}
    columns = {name: {"sdtype": sdtypes[kind]} for name, kind in kinds.items()}
    metadata = Metadata.load_from_dict({"tables": {TABLE: {"columns": columns}}})
    parameters = dict(spec.parameters)
    if spec.model_type == "tvae":
        parameters.pop("learning_rate", None)  # the only value that passes the check is the one it has
    if "epochs" in parameters:
        # The same seed is to give the same rows, which a GPU doesn't promise.
        parameters |= {"enable_gpu": False, "verbose": False}
    # Rounding and ranges are the table's concern, and exact there.
    return classes[spec.model_type](metadata, enforce_rounding=False, **parameters)


@contextmanager
def _alone() -> Iterator[None]:
    """While this lasts, joblib starts no processes of its own.

    For larger tables CTGAN and TVAE encode columns in processes that know neither the seed nor this one's limits, and
    that take seconds to start.
    """
    import joblib  # type: ignore[import-untyped]  # it carries no types

    with joblib.parallel_config(backend="sequential"):
        yield


@contextmanager
def _epochs_told(synthesizer: Any, report: Report) -> Iterator[None]:
    """While this lasts, every epoch is told and a cancelled training stops at the end of its epoch.

    The loops over epochs offer no callback; they run over `tqdm(range(epochs), …)`, a name of two modules, which is
    replaced here. What trains runs alone in its process, so that nobody else meets the replaced name.
    """
    import ctgan.synthesizers.ctgan
    import ctgan.synthesizers.tvae

    modules: tuple[ModuleType, ...] = (ctgan.synthesizers.ctgan, ctgan.synthesizers.tvae)
    originals = [module.__dict__["tqdm"] for module in modules]

    def told(epochs: range, *_: object, **__: object) -> Iterable[int]:
        return _Epochs(epochs, synthesizer, report)

    try:
        for module in modules:
            module.__dict__["tqdm"] = told
        yield
    finally:
        for module, original in zip(modules, originals, strict=True):
            module.__dict__["tqdm"] = original


class _Epochs:
    """Runs over the epochs, telling each with its losses."""

    def __init__(self, epochs: range, synthesizer: Any, report: Report) -> None:
        self._epochs = epochs
        self._synthesizer = synthesizer
        self._report = report

    def __iter__(self) -> Iterator[int]:
        self._report(Progress(Stage.TRAINING, epoch=0, epochs=len(self._epochs)))
        for epoch in self._epochs:
            yield epoch
            if self._report.cancelled():
                raise Cancelled
            self._report(
                Progress(Stage.TRAINING, epoch=epoch + 1, epochs=len(self._epochs), losses=self._losses(epoch))
            )

    def _losses(self, epoch: int) -> dict[str, float]:
        """The means of an epoch's losses; SDV tells them only of a fitted synthesizer, the model inside always."""
        frame = self._synthesizer._model.loss_values  # noqa: SLF001 see above
        latest = frame[frame["Epoch"] == epoch]
        losses = {name: float(latest[column].mean()) for column, name in LOSS_NAMES.items() if column in latest}
        if not all(map(math.isfinite, losses.values())):
            raise _diverged()
        return losses
