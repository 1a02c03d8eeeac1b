"""Fitted models: `client.models`."""

from collections.abc import Mapping
from typing import Any

from mirage.aio.models import AsyncModel, AsyncModels, AsyncSample
from mirage.generation.v1 import model_pb2 as pb
from mirage.plain.calls import Plain, blocking, each
from mirage.records.generation import ModelFields


class Sample(Plain[AsyncSample]):
    """Rows that a model draws when they are asked for; asked again it draws the same ones, since the seed is fixed."""

    @property
    def seed(self) -> int:
        """What governs every random choice."""
        return self._core.seed

    table = blocking(AsyncSample.table)
    dataframe = blocking(AsyncSample.dataframe)
    download = blocking(AsyncSample.download)

    def __repr__(self) -> str:
        return repr(self._core)


def _model(core: AsyncModel) -> "Model":
    return Model(core)


class Model(Plain[AsyncModel], ModelFields):
    """A fitted model."""

    @property
    def proto(self) -> pb.Model:
        """The message itself."""
        return self._core.proto

    refresh = blocking(AsyncModel.refresh, _model)
    delete = blocking(AsyncModel.delete)

    def sample(self, n: int = 1000, seed: int | None = None, conditions: Mapping[str, Any] | None = None) -> Sample:
        """Returns rows to be drawn: `model.sample(500).dataframe()`.

        Args:
            n: how many.
            seed: governs every random choice; drawn if None.
            conditions: values that every row must have, by column.
        """
        return Sample(self._core.sample(n, seed, conditions))


class Models(Plain[AsyncModels]):
    """The caller's models."""

    list = blocking(AsyncModels.list, each(Model))
    get = blocking(AsyncModels.get, Model)
