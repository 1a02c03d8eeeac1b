"""The kinds of models that there are: which settings fit which, and which file is of which."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from mirage_engine import storage
from mirage_engine.autoregressive import fitting as autoregressive
from mirage_engine.autoregressive import model as autoregressive_model
from mirage_engine.autoregressive.model import AutoregressiveModel
from mirage_engine.autoregressive.settings import AutoregressiveSettings
from mirage_engine.codec import CodecSettings
from mirage_engine.errors import ModelFileRefused
from mirage_engine.gaussian_copula import fitting as gaussian_copula
from mirage_engine.gaussian_copula import model as gaussian_copula_model
from mirage_engine.gaussian_copula.model import GaussianCopulaModel
from mirage_engine.gaussian_copula.settings import GaussianCopulaSettings
from mirage_engine.progress import Listener, nobody

Model = AutoregressiveModel | GaussianCopulaModel

_LOADERS: Mapping[str, Callable[[Path, bytes | None], Model]] = {
    autoregressive_model.KIND: AutoregressiveModel.load,
    gaussian_copula_model.KIND: GaussianCopulaModel.load,
}
KINDS = tuple(_LOADERS)
"""The default first."""


@overload
def fit(
    table: pa.Table,
    settings: AutoregressiveSettings | None = None,
    codec_settings: CodecSettings | None = None,
    *,
    seed: int = 0,
    listener: Listener = nobody,
    checkpoint: Path | None = None,
) -> AutoregressiveModel: ...
@overload
def fit(
    table: pa.Table,
    settings: GaussianCopulaSettings,
    codec_settings: CodecSettings | None = None,
    *,
    seed: int = 0,
    listener: Listener = nobody,
) -> GaussianCopulaModel: ...
def fit(
    table: pa.Table,
    settings: AutoregressiveSettings | GaussianCopulaSettings | None = None,
    codec_settings: CodecSettings | None = None,
    **options: Any,
) -> Model:
    """Fits the kind of model that the settings are of, an autoregressive one without any.

    See `mirage_engine.autoregressive.fitting.fit` and `mirage_engine.gaussian_copula.fitting.fit`.
    """
    if isinstance(settings, GaussianCopulaSettings):
        return gaussian_copula.fit(table, settings, codec_settings, **options)
    return autoregressive.fit(table, settings, codec_settings, **options)


def load(path: Path | str, key: bytes | None = None) -> Model:
    """Reads a model of any kind. Raises ModelFileRefused if the file isn't one, or was changed since."""
    kind = storage.kind_of(Path(path))
    if kind not in _LOADERS:
        raise ModelFileRefused(
            f"{Path(path).name} holds a model of a kind that isn't known here ({kind}): update mirage_engine to read it"
        )
    return _LOADERS[kind](Path(path), key)
