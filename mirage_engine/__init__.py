"""Mirage's own models: they learn a private table and draw synthetic rows like it.

>>> import mirage_engine
>>> model = mirage_engine.fit(table)                      # a pyarrow.Table
>>> model.save("adult.mirage")
>>> model.sample_table(1000, seed=7, conditions={"sex": "Female", "age": mirage_engine.Range(30, 40)})
"""

from mirage_engine.autoregressive.model import AutoregressiveModel
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.codec import CodecSettings
from mirage_engine.codec.column import Range
from mirage_engine.errors import (
    Cancelled,
    ConditionsRefused,
    EngineError,
    ModelFileRefused,
    TableRefused,
    TrainingDiverged,
)
from mirage_engine.gaussian_copula.model import GaussianCopulaModel
from mirage_engine.gaussian_copula.settings import GaussianCopulaSettings
from mirage_engine.models import fit, load

__all__ = [
    "AutoregressiveModel",
    "AutoregressiveSettings",
    "Cancelled",
    "CodecSettings",
    "ConditionsRefused",
    "EngineError",
    "GaussianCopulaModel",
    "GaussianCopulaSettings",
    "ModelFileRefused",
    "Range",
    "TableRefused",
    "TrainingDiverged",
    "fit",
    "load",
]
