"""Fitted models: `client.models`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from secrets import randbelow
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from mirage import tables
from mirage.aio.paging import collect
from mirage.connection import Connection
from mirage.generation.v1 import model_pb2 as pb
from mirage.job_requests import LARGEST_SEED, to_struct
from mirage.records.generation import ModelFields

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class AsyncSample:
    """Rows that a model draws when they are asked for; asked again it draws the same ones, since the seed is fixed."""

    def __init__(self, connection: Connection, request: pb.SampleModelRequest, name: str) -> None:
        self._connection = connection
        self._request = request
        self._name = name

    @property
    def seed(self) -> int:
        """What governs every random choice."""
        return self._request.seed

    async def table(self) -> "pa.Table":
        """Returns the rows as Arrow, with the types of the table that the model learned."""
        return await tables.read_parquet(self._chunks("parquet"))

    async def dataframe(self) -> "pd.DataFrame":
        """Returns the rows as a DataFrame, with the types of the table that the model learned."""
        return await to_thread.run_sync(tables.to_pandas, await self.table())

    async def download(self, path: str | Path = ".", format: str | None = None) -> Path:  # noqa: A002 -- the API's word
        """Writes the rows to a file, and returns its path.

        Args:
            path: a file, or a directory in which it gets the model's name.
            format: `jsonl`, `csv` or `parquet`; None for what the path ends in, or `csv`.
        """
        file, chosen = tables.target(path, format, "csv", f"{self._name}-{self.seed}")
        return await tables.save(self._chunks(chosen), file)

    async def _chunks(self, file_format: str) -> AsyncIterator[bytes]:
        request = pb.SampleModelRequest()
        request.CopyFrom(self._request)
        request.format = file_format
        async with aclosing(self._connection.receive(self._connection.models.SampleModel, request)) as bodies:
            async for body in bodies:
                yield body.data

    def __repr__(self) -> str:
        return f"<Sample of {self._request.n} rows, seed {self.seed}>"


class AsyncModel(ModelFields):
    """A fitted model."""

    def __init__(self, message: pb.Model, connection: Connection) -> None:
        super().__init__(message)
        self._connection = connection

    def sample(
        self, n: int = 1000, seed: int | None = None, conditions: Mapping[str, Any] | None = None
    ) -> AsyncSample:
        """Returns rows to be drawn: `await model.sample(500).dataframe()`.

        Args:
            n: how many.
            seed: governs every random choice; drawn if None.
            conditions: values that every row must have, by column.
        """
        request = pb.SampleModelRequest(
            model_id=self.id,
            n=n,
            seed=randbelow(LARGEST_SEED + 1) if seed is None else seed,
            conditions=to_struct(conditions) if conditions else None,
        )
        return AsyncSample(self._connection, request, self.name)

    async def refresh(self) -> "AsyncModel":
        """Asks the platform again what it knows of this model."""
        request = pb.GetModelRequest(model_id=self.id)
        self._told = await self._connection.call(self._connection.models.GetModel, request)
        return self

    async def delete(self) -> None:
        """Deletes the model; the table of its job stays."""
        await self._connection.call(self._connection.models.DeleteModel, pb.DeleteModelRequest(model_id=self.id))


class AsyncModels:
    """The caller's models."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self, *, dataset_id: str = "", limit: int | None = None) -> list[AsyncModel]:
        """Returns models, the newest first; with `dataset_id` only those fitted on it."""

        async def page(size: int, token: str) -> tuple[list[AsyncModel], str]:
            request = pb.ListModelsRequest(page_size=size, page_token=token, dataset_id=dataset_id)
            answer = await self._connection.call(self._connection.models.ListModels, request)
            return [AsyncModel(each, self._connection) for each in answer.models], answer.next_page_token

        return await collect(page, limit)

    async def get(self, model_id: str) -> AsyncModel:
        """Returns one model.

        Raises:
            NotFound: if there is none.
        """
        request = pb.GetModelRequest(model_id=model_id)
        return AsyncModel(await self._connection.call(self._connection.models.GetModel, request), self._connection)
